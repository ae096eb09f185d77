"""The size of an image, upright, without decoding its pixels: outlines in fractions or run lengths need it."""

import warnings
from pathlib import Path

from PIL import Image

from naslora_core.data.dataset.image_files.pixels import FORMATS, load_picture, orientation

# EXIF orientations that lay a picture on its side.
_SIDEWAYS = 5


def upright_size(path: Path) -> tuple[int, int]:
    """Return (H, W) of an image file as it is shown, its EXIF orientation applied.

    Raises:
        DataError: if it is missing, not an image, or too large to be opened.
    """
    picture: Image.Image
    try:
        # Opening a named pipe would wait for ever.
        if not path.is_file():
            raise FileNotFoundError
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                width, height = picture.size
                sideways = orientation(picture) >= _SIDEWAYS
    # Damaged files make decoders raise almost anything; decoding says why.
    except Exception:
        picture = load_picture(path)
        width, height = picture.size
        sideways = orientation(picture) >= _SIDEWAYS
    return (width, height) if sideways else (height, width)
