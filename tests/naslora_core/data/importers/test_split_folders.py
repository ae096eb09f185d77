"""Plain folders that are divided into splits: each split has its own folders, or its own part of both."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.encoding import read_pair
from naslora_core.data.importers import ImportRequest, import_dataset, recognise

HEIGHT, WIDTH = 12, 16
SPLITS = {"train": 4, "val": 2, "test": 2}
WORDS = {"train": "train", "val": "validation", "test": "test"}


def write(root: Path, place: str, kinds: tuple[str, str], count: dict[str, int], ending: str = "") -> None:
    """Write pairs of which the mask has as many pixels as the image's first value says."""
    for number, (part, pairs) in enumerate(count.items()):
        images, masks = (root / place.format(part=part, kind=kind) for kind in kinds)
        for folder in (images, masks):
            folder.mkdir(parents=True)
        for place_in_part in range(pairs):
            size = 1 + 10 * number + place_in_part
            pixels = np.random.default_rng(size).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            pixels[0, 0] = size
            mask = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) < size) * 255
            Image.fromarray(pixels).save(images / f"{place_in_part}.png")
            Image.fromarray(mask.astype(np.uint8)).save(masks / f"{place_in_part}{ending}.png")


@pytest.mark.parametrize(
    ("place", "kinds", "ending"),
    [
        ("{part}/{kind}", ("images", "masks"), ""),
        ("{part}/{kind}", ("imgs", "labels"), "_mask"),
        ("{kind}/{part}", ("images", "masks"), ""),
        ("wrapped/{kind}/{part}", ("images", "annotations"), ""),
    ],
)
def test_every_split_keeps_its_pairs(tmp_path: Path, place: str, kinds: tuple[str, str], ending: str) -> None:
    write(tmp_path / "in", place, kinds, SPLITS, ending)
    importer = recognise(tmp_path / "in")
    assert importer.name == "folder"
    request = ImportRequest(tmp_path / "in")
    dataset = import_dataset(importer(request), request, tmp_path / "data" / "x")
    assert dataset.card.split.kind == "listed"
    assert {pair.name: pair.split for pair in dataset.pairs} == {
        f"{part}_{number}": WORDS[part] for part, pairs in SPLITS.items() for number in range(pairs)
    }
    for pair in dataset.pairs:
        image, ids = read_pair(pair, dataset.card)
        assert int(ids.sum()) == image[0, 0, 0]


def test_a_split_that_is_not_there_is_drawn_from_the_training_images(tmp_path: Path) -> None:
    write(tmp_path / "in", "{part}/{kind}", ("images", "masks"), {"train": 20, "test": 3})
    request = ImportRequest(tmp_path / "in")
    dataset = import_dataset(recognise(tmp_path / "in")(request), request, tmp_path / "data" / "x")
    assert [len(dataset.of_split(split)) for split in ("train", "validation", "test")] == [17, 3, 3]
