"""Masks as annotation tools store them: the author's class ids, and the file that holds them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.dataset.dataset import Dataset
from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset
from naslora_core.data.importers.legends.known import voc_colour

COUNT, HEIGHT, WIDTH = 4, 40, 48
Store = Callable[[np.ndarray, Path], object]


def photograph(number: int) -> np.ndarray:
    """Return (H, W, 3) uint8 noise in blocks, another for each number."""
    small = np.random.default_rng(number).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    return np.kron(small, np.ones((8, 8, 1), np.uint8))


def drawn(*values: int, ring: int | None = None) -> list[np.ndarray]:
    """Return masks (H, W) int32, each with a square of every value, and maybe a border round each."""
    masks = []
    for number in range(COUNT):
        mask = np.zeros((HEIGHT, WIDTH), np.int32)
        for place, value in enumerate(values):
            top, left = 4 + number, 3 + 14 * place
            if ring is not None:
                mask[top - 2 : top + 12, left - 2 : left + 12] = ring
            mask[top : top + 10, left : left + 10] = value
        masks.append(mask)
    return masks


def write(root: Path, masks: list[np.ndarray], store: Store, suffix: str = ".png") -> Path:
    """Write `images` and `masks` folders; `store` writes one mask into a file."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number, mask in enumerate(masks):
        Image.fromarray(photograph(number)).save(root / "images" / f"i{number}.jpg")
        store(mask, root / "masks" / f"i{number}{suffix}")
    return root


def import_(root: Path, **options: object) -> Dataset:
    """Import a folder beside itself and return the dataset."""
    request = ImportRequest(root, **options)  # type: ignore[arg-type]
    return import_dataset(IMPORTERS["folder"](request), request, root.parent / "data" / "made")


def ids_of(dataset: Dataset) -> Iterator[np.ndarray]:
    """Yield the class ids of every mask, by name."""
    for pair in dataset.pairs:
        assert pair.mask is not None
        yield read_class_ids(pair.mask, dataset.card)


def assert_equal(dataset: Dataset, expected: list[np.ndarray]) -> None:
    """Compare the class ids of all masks with the author's, pixel by pixel."""
    found = list(ids_of(dataset))
    assert len(found) == len(expected)
    for number, (ids, wanted) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(ids, wanted, err_msg=f"mask {number}")


def grey(mask: np.ndarray, path: Path) -> None:
    """Store bytes of one channel."""
    Image.fromarray(mask.astype(np.uint8)).save(path)


def palette(colours: dict[int, int]) -> Store:
    """Return a function that stores palette indices; colours are 0xRRGGBB, the others black."""

    def store(mask: np.ndarray, path: Path) -> None:
        picture = Image.fromarray(mask.astype(np.uint8)).convert("L")
        table = [channel for index in range(256) for channel in colours.get(index, 0).to_bytes(3, "big")]
        picture.putpalette(table)
        picture.save(path)

    return store


def colours(of_value: dict[int, int]) -> Store:
    """Return a function that stores RGB; colours are 0xRRGGBB by value."""

    def store(mask: np.ndarray, path: Path) -> None:
        table = np.zeros((max(of_value) + 1, 3), np.uint8)
        for value, colour in of_value.items():
            table[value] = list(colour.to_bytes(3, "big"))
        Image.fromarray(table[mask]).save(path)

    return store


VOC = {number: voc_colour(number) for number in range(256)}
