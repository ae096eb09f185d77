"""Mask and probability files: how class ids and probabilities are stored, so that other programs get them back."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from naslora_core.data.dataset.image_files.geotiff import Tags
from naslora_core.files import atomic_file
from naslora_core.pictures.overlays import class_colour

# (256, 3), a colour for every class id; the background is black.
CLASS_PALETTE = np.array([(0, 0, 0), *map(class_colour, range(1, 256))], dtype=np.uint8)
# From here on the offsets of a classic TIFF may not reach the end of the file.
_BIG_BYTES = 2**32 - 2**25


def mask_picture(ids: np.ndarray, several: bool, has_palette: bool = True) -> Image.Image:
    """Return a mask (H, W) uint8 as a picture: 0 and 255, or the ids of several classes.

    Args:
        ids: 0 is the background.
        several: whether the model has more than one class.
        has_palette: whether ids are shown in the classes' colours. OpenCV returns these colours then, never the ids.
    """
    picture = Image.fromarray(ids if several else ids * np.uint8(255))
    if several and has_palette:
        picture.putpalette(CLASS_PALETTE.tobytes())
    return picture


def save_mask(ids: np.ndarray, path: Path, several: bool, has_palette: bool, tags: Tags) -> None:
    """Write a mask as PNG, or with `tags` as TIFF if the path says so; see `mask_picture`."""
    if path.suffix == ".png":
        save_png(mask_picture(ids, several, has_palette), path)
        return
    layout: dict[str, Any] = {"photometric": "minisblack"}
    if several and has_palette:
        # TIFF colours have 16 bits: 257 * 255 = 65535.
        layout = {"photometric": "palette", "colormap": CLASS_PALETTE.T.astype(np.uint16) * 257}
    _save_tiff(ids if several else ids * np.uint8(255), path, tags, layout)


def save_probability(values: np.ndarray, path: Path, tags: Tags) -> None:
    """Write probabilities (H, W), or (K, H, W) for several classes, as TIFF.

    Several classes are one grey page each, which is the only layout of which OpenCV returns every class in all types of
    numbers, with `cv2.imreadmulti`. With `tags`, which are those of a GeoTIFF, they are the bands of one page instead:
    programs for maps read the first page only.
    """
    layout: dict[str, Any] = {"photometric": "minisblack"}
    if values.ndim == 3 and tags:
        layout["planarconfig"] = "separate"
    _save_tiff(values, path, tags, layout)


def find_mask(folder: Path, name: str) -> Path:
    """Return the mask of an image, which is a TIFF if the image is a GeoTIFF."""
    tiff = folder / f"{name}_mask.tif"
    return tiff if tiff.is_file() else folder / f"{name}_mask.png"


def read_ids(mask: Path, several: bool) -> np.ndarray:
    """Return the class ids (H, W) uint8 of a mask that this project wrote; masks of one class say 255 for 1."""
    if mask.suffix == ".tif":
        values = tifffile.imread(mask)
    else:
        with Image.open(mask) as picture:
            values = np.asarray(picture)
    return values if several else (values > 0).astype(np.uint8)


def save_png(picture: Image.Image, path: Path) -> None:
    """Write a picture, whole or not at all."""
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG")


def _save_tiff(values: np.ndarray, path: Path, tags: Tags, layout: dict[str, Any]) -> None:
    with atomic_file(path) as temporary:
        tifffile.imwrite(
            temporary, values, compression="zlib", metadata=None, extratags=tags,
            bigtiff=values.nbytes > _BIG_BYTES, **layout,
        )  # fmt: skip
