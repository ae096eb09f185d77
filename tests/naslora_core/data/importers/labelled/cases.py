"""Help for the tests of layouts with a file of labels for every image: write images, import, read masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.data.importers import Found, ImportRequest, import_dataset, recognise

HEIGHT, WIDTH = 40, 48
REAL = Path(__file__).parent / "real"
# The kinds of objects that every format is tried with; "empty" has none.
KINDS = ("square", "disc", "hole", "two_parts", "line", "touching", "overlapping", "border", "empty", "two_classes")


def write_image(path: Path, height: int = HEIGHT, width: int = WIDTH, channels: int = 3) -> Path:
    """Write an image whose noise no other name has, so that images are not taken for copies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sum(map(ord, path.name)) * 31 + len(str(path.name)))
    shape = (height, width, channels) if channels > 1 else (height, width)
    Image.fromarray(rng.integers(0, 255, shape).astype(np.uint8)).save(path)
    return path


def write_mask(path: Path, values: np.ndarray, palette: bytes | None = None) -> Path:
    """Write a mask of stored values, with a palette if one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values)
    if palette is not None:
        picture.putpalette(palette)
    picture.save(path)
    return path


def drawn(kind: str) -> np.ndarray:
    """Return (40, 48) uint8 ids of one of `KINDS`: 1 is a class, 2 another one."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    if kind == "square":
        ids[8:20, 10:22] = 1
    elif kind == "disc":
        ids[np.hypot(y - 20, x - 20) < 8] = 1
    elif kind == "hole":
        ids[6:30, 8:36] = 1
        ids[np.hypot(y - 18, x - 20) < 5] = 0
    elif kind == "two_parts":
        ids[3:9, 3:9] = ids[20:30, 20:33] = 1
    elif kind == "line":
        ids[5, 4:30] = 1
    elif kind == "touching":
        ids[6:16, 6:16], ids[6:16, 16:26] = 1, 2
    elif kind == "overlapping":
        ids[np.hypot(y - 16, x - 16) < 11] = 1
        ids[np.hypot(y - 20, x - 26) < 8] = 2
    elif kind == "border":
        ids[np.hypot(y, x) < 12] = 1
        ids[30:, 40:] = 1
    elif kind == "two_classes":
        ids[4:20, 4:20], ids[20:38, 24:44] = 1, 2
    return ids


def auto(root: Path, layout: str, **options: object) -> Found:
    """Recognise the layout of a folder, which must be `layout`, and read it."""
    importer = recognise(root)
    assert importer.name == layout
    return importer(ImportRequest(root, **options))  # type: ignore[arg-type]


def masks_of(found: Found, root: Path, target: Path) -> tuple[DatasetCard, dict[str, np.ndarray]]:
    """Import what was found; return the card, and the class ids of every pair as training reads them."""
    dataset = import_dataset(found, ImportRequest(root), target, pairs_only=True)
    return dataset.card, {pair.name: read_class_ids(pair.mask, dataset.card) for pair in dataset.pairs if pair.mask}
