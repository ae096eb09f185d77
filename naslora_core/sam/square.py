"""Resize and pad images into SAM's square input: the image in the upper left corner, SAM's mean colour elsewhere."""

import numpy as np
from PIL import Image

# SAM's mean colour, which its encoder sees as zero: upstream pads with zeros after normalising.
PADDING_RGB = (124, 116, 104)


def resized_shape(height: int, width: int, image_size: int, scale: float | None = None) -> tuple[int, int]:
    """Return (H, W) within the square, rounded as SAM's code does.

    Args:
        height: of the image, or of the part of it that is shown, in pixels.
        width: likewise.
        image_size: side of the square.
        scale: pixels of the square for one of the image; None makes the longer side as long as the square's.
    """
    factor = image_size / max(height, width) if scale is None else scale
    inside = (min(image_size, max(1, int(length * factor + 0.5))) for length in (height, width))
    return next(inside), next(inside)


def window_side(image_size: int, scale: float) -> int:
    """Return the side of the part of an image that fills the square at a scale, in the image's pixels."""
    return max(1, round(image_size / scale))


def fit_into_square(image: np.ndarray, side: int, scale: float | None = None) -> tuple[np.ndarray, tuple[int, int]]:
    """Return an image (H, W, 3) resized and padded to (side, side, 3), and its (H, W) within that."""
    height, width = resized_shape(image.shape[0], image.shape[1], side, scale)
    if (height, width) == (side, side):
        return resize(image, (height, width), Image.Resampling.BILINEAR), (height, width)
    square = np.full((side, side, 3), PADDING_RGB, dtype=np.uint8)
    square[:height, :width] = resize(image, (height, width), Image.Resampling.BILINEAR)
    return square, (height, width)


def resize_mask(ids: np.ndarray, side: int, scale: float | None = None) -> np.ndarray:
    """Return class ids, or numbers of objects, (H, W), as the model sees them: the longer side is `side` pixels.

    Each pixel takes the number of the nearest one; what lies between two of them is gone. With `scale` as in
    `resized_shape`.
    """
    return resize(ids, resized_shape(ids.shape[0], ids.shape[1], side, scale), Image.Resampling.NEAREST)


def resize(pixels: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    """Return (H, W[, 3]) uint8, or (H, W) int32, pixels at another (H, W); bilinear is antialiased when it shrinks."""
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), how))
