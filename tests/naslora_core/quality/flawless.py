"""A dataset without a fault, for tests to spoil."""

from pathlib import Path

from naslora_core.config import load_params
from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.splits import SPLITS, write_splits
from tests.naslora_core.quality.corpus import draw, draw_mask, save

QUALITY = load_params(Path(__file__).parents[3] / "params.yaml").quality
CARD = DatasetCard(
    name="corpus", title="Corpus", classes=("disc",), mask_threshold=128, licence="none", citation="none",
    source="a test", split=SplitRule(kind="random", seed=3, train=0.6, validation=0.2, test=0.2),
)  # fmt: skip


def write_pairs(root: Path, names: list[str]) -> None:
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for seed, name in enumerate(names, start=100):
        save(root / "images" / f"{name}.png", draw(seed))
        save(root / "masks" / f"{name}.png", draw_mask())
    write_card(root, CARD)
    write_splits(root, {name: SPLITS[place % 3] for place, name in enumerate(names)})
