"""What tools wrote, in data/, laid out with images as a user has it, and the masks the tools themselves painted."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.data.importers import Found, ImportRequest, recognise

DATA = Path(__file__).parent / "data"
HEIGHT, WIDTH = 32, 40
CASES = ("square", "disc", "hole", "two_parts", "line", "touching", "overlapping", "border", "empty", "two_classes")


def lay_out(folder: str, root: Path, images: str = "", names: tuple[str, ...] = CASES, suffix: str = ".png") -> Path:
    """Copy a folder of data/, and add an image for each name to the folder `images` in it."""
    shutil.copytree(DATA / folder, root, ignore=lambda _, found: [name for name in found if name == "masks.tool"])
    (root / images).mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(root / images / f"{name}{suffix}")
    return root


def tool_masks(folder: str, names: tuple[str, ...] = CASES) -> dict[str, np.ndarray]:
    """Return the masks that the tool made of the files of a folder of data/, by name of the image."""
    with Image.open(DATA / folder / "masks.tool") as picture:
        masks = np.asarray(picture).reshape(len(names), HEIGHT, WIDTH)
    return dict(zip(names, masks, strict=True))


def find(root: Path, layout: str, **options: object) -> Found:
    """Import a folder as `auto`, which has to see the layout."""
    importer = recognise(root)
    assert importer.name == layout
    return importer(ImportRequest(root, **options))  # type: ignore[arg-type]


def masks_of(found: Found) -> dict[str, np.ndarray]:
    """Return all masks, painted or decoded with what the card will say, by name."""
    card = DatasetCard(
        name="x",
        title="x",
        classes=found.classes,
        mask_values=dict(found.mask_values or {}),
        mask_ignore=found.mask_ignore,
        split={"kind": "random", "seed": 1, "train": 1.0, "validation": 0.0, "test": 0.0},
        licence="x",
        citation="x",
        source="x",
    )
    return {
        source.name: read_class_ids(source.mask, card) if isinstance(source.mask, Path) else source.mask()
        for source in found.sources
        if source.mask is not None
    }


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Compare masks, pixel by pixel."""
    assert sorted(found) == sorted(expected)
    different = {name: int((found[name] != mask).sum()) for name, mask in expected.items()}
    assert {name: count for name, count in different.items() if count} == {}
