"""Masks with pixels that nobody labelled at the model's input size."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import IGNORED_ID, DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import Dataset, Pair, read_dataset
from naslora_core.data.dataset.splits import write_splits
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.data.preprocess.decode import decode_pair
from naslora_core.data.preprocess.preprocess import preprocess

VALUES = {"road": (10,), "roof": (20,)}
RULE = SplitRule(kind="listed", seed=0, train=1, validation=0, test=0)


def write(root: Path, masks: dict[str, np.ndarray], ignore: tuple[int, ...] | None) -> Dataset:
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True, exist_ok=True)
    write_card(root, DatasetCard(name=root.name, title="Roofs", classes=("road", "roof"), mask_values=VALUES,
                                 mask_ignore=ignore, split=RULE, licence="CC0", citation="none",
                                 source="drawn"))  # fmt: skip
    for name, mask in masks.items():
        Image.fromarray(np.zeros((*mask.shape, 3), np.uint8)).save(root / "images" / f"{name}.png")
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")
    write_splits(root, dict.fromkeys(masks, "train"))
    return read_dataset(root)


def ringed(height: int, width: int) -> np.ndarray:
    """Return values with a road in a ring that is ignored, on roofs."""
    rows, columns = np.mgrid[:height, :width]
    away = np.hypot(rows - height / 2, columns - width / 2) / min(height, width)
    return np.select([away < 0.2, away < 0.3], [10, 255], 20).astype(np.uint8)


@pytest.mark.parametrize("side", [33, 64, 149])
@pytest.mark.parametrize("size", [(90, 140), (41, 30), (64, 64)])
def test_ids_at_another_size_are_those_of_the_nearest_pixel_and_never_blended(
    tmp_path: Path, side: int, size: tuple[int, int]
) -> None:
    dataset = write(tmp_path / "roofs", {"a": ringed(*size)}, (255,))
    pair: Pair = dataset.pairs[0]
    square = decode_pair(pair, dataset.card, side)
    assert set(np.unique(square.mask[: square.sizes[1][0], : square.sizes[1][1]]).tolist()) == {1, 2, IGNORED_ID}
    ids = np.select([ringed(*size) == 10, ringed(*size) == 20], [1, 2], IGNORED_ID)
    height, width = square.sizes[1]
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip((height, width), size, strict=True))
    np.testing.assert_array_equal(square.mask[:height, :width], ids[np.ix_(rows, columns)])
    assert (square.mask[height:] == 0).all()


def test_rows_are_made_again_when_the_card_says_otherwise_what_is_ignored(tmp_path: Path) -> None:
    mask = np.where(ringed(60, 60) == 255, 30, ringed(60, 60)).astype(np.uint8)
    root, out = tmp_path / "roofs", tmp_path / "out"
    preprocess(write(root, {"a": mask, "b": np.full((60, 60), 20, np.uint8)}, (30,)), 60, out)
    ring = mask == 30
    assert (load_prepared(out, "train").masks[0][ring] == IGNORED_ID).all()
    card = read_dataset(root).card
    write_card(root, card.model_copy(update={"mask_ignore": None, "mask_values": VALUES | {"background": (30,)}}))
    preprocess(read_dataset(root), 60, out)
    assert (load_prepared(out, "train").masks[0][ring] == 0).all()
    recipe = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["recipe"]
    assert "mask_ignore" not in recipe, "rows of data without such pixels are used again as before"


def test_rows_are_made_again_when_only_the_ignored_values_change(tmp_path: Path) -> None:
    mask = ringed(60, 60)
    root, out = tmp_path / "roofs", tmp_path / "out"
    dataset = write(root, {"a": mask}, (255, 7))
    preprocess(dataset, 60, out)
    first = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["recipe"]
    write_card(root, dataset.card.model_copy(update={"mask_ignore": (255, 8)}))
    preprocess(read_dataset(root), 60, out)
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["recipe"] != first
