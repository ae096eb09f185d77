"""Pixels out of image files: colour images and binary masks, checked to their last byte."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from naslora_core.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


def read_image(path: Path) -> np.ndarray:
    """Return an image as its camera meant it.

    Returns:
        (H, W, 3) uint8 RGB, EXIF orientation applied, transparency dropped.

    Raises:
        DataError: if the file is missing, cut short, not an image, or has more than 8 bits a channel.
    """
    picture = _open(path)
    if picture.mode in _DEEP_MODES:
        raise DataError(f"{path} has more than 8 bits a channel (mode {picture.mode}); convert it to 8 bits")
    return np.asarray(picture.convert("RGB"))


def read_mask(path: Path, threshold: int) -> np.ndarray:
    """Return where a mask marks the object.

    Args:
        path: an image file; of a colour mask, the brightest channel counts.
        threshold: least pixel value, 0..255, that is foreground.

    Returns:
        (H, W) uint8, 1 on the object and 0 elsewhere.

    Raises:
        DataError: if the file is missing, cut short or not an image.
    """
    return (read_mask_values(path) >= threshold).astype(np.uint8)


def read_mask_values(path: Path) -> np.ndarray:
    """Return a mask as stored: (H, W), uint8, or wider where the file is.

    Raises:
        DataError: if the file is missing, cut short or not an image.
    """
    picture = _open(path)
    if picture.mode in _DEEP_MODES:
        return np.asarray(picture)
    if picture.mode in ("1", "L", "LA"):
        return np.asarray(picture.convert("L"))
    # Not luma: a mask painted in pure blue would come out as 29 and be lost at a threshold of 128.
    values: np.ndarray = np.asarray(picture.convert("RGB")).max(axis=2)
    return values


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            picture.load()
            return ImageOps.exif_transpose(picture)
    except FileNotFoundError as error:
        raise DataError(f"{path} not found; put it back, or remove its partner") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), path.name)
        raise DataError(f"{path} cannot be read: {reason}; replace the file") from error
