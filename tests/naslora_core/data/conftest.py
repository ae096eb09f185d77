"""Small datasets on disk, written as naslora writes them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.splits import draw_splits, write_splits

RULE = SplitRule(kind="random", seed=3, train=0.6, validation=0.2, test=0.2)


def make_card(name: str = "discs", threshold: int = 128, rule: SplitRule = RULE) -> DatasetCard:
    return DatasetCard(
        name=name, title="Discs", classes=("disc",), mask_threshold=threshold, split=rule, licence="none",
        citation="none", source="a test",
    )  # fmt: skip


def draw_pair(index: int, height: int = 40, width: int = 56) -> tuple[np.ndarray, np.ndarray]:
    """Return (H, W, 3) uint8 with a bright disc, and its mask (H, W) uint8 0/255."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[:height, :width]
    mask = np.hypot(y - height / 2, x - width / 2) < 8 + index % 5
    image = rng.integers(0, 90, (height, width, 3)) + 120 * mask[..., None]
    return image.astype(np.uint8), mask.astype(np.uint8) * 255


@pytest.fixture
def write_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a dataset of `count` pairs and returns its folder."""

    def write(count: int = 15, name: str = "discs") -> Path:
        root = tmp_path / "data" / name
        (root / "images").mkdir(parents=True)
        (root / "masks").mkdir()
        names = [f"disc_{index:02d}" for index in range(count)]
        for index, stem in enumerate(names):
            image, mask = draw_pair(index)
            Image.fromarray(image).save(root / "images" / f"{stem}.jpg", quality=95)
            Image.fromarray(mask).save(root / "masks" / f"{stem}.png")
        write_card(root, make_card(name))
        write_splits(root, draw_splits(names, RULE))
        return root

    return write
