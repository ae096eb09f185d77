"""Decode plain image files as RGB and mask files as values, with clear errors for damaged files."""

import stat
import warnings
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from naslora_core.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
# Nothing else is tried on a file, whatever it is called; JPEG includes MPO, which many phones write.
FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
# What makes a picture upright, by its EXIF orientation; as ImageOps.exif_transpose, which also writes the notes anew.
_TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = tuple(_TURNS[number] for number in (5, 6, 7, 8))
# Opaque by half or more.
ALPHA_THRESHOLD = 128
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
# TIFF 6.0, tags 262 and 259: fax machines send ink as 1, so that their compressions invert what was drawn.
_PHOTOMETRIC, _COMPRESSION, _WHITE_IS_ZERO, _OF_FAX = 262, 259, 0, (2, 3, 4)


def read_mask(path: Path, threshold: int) -> np.ndarray:
    """Return a mask as 0 and 1 by a threshold.

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
    return to_mask_values(load_picture(path), path)


def load_picture(path: Path, content: BinaryIO | None = None) -> Image.Image:
    """Decode a file without converting its mode or applying its EXIF orientation.

    Args:
        path: the file.
        content: what is in it, if it is in memory; then `path` is but its name in errors.

    Raises:
        DataError: if it is missing, not a file, cut short, not an image, an animation, or of more pixels than
            Pillow deems safe to decode.
    """
    try:
        # Opening a named pipe would wait for ever.
        if content is None and not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path} cannot be read: it is a folder or a device, not a file; replace the file")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(content or path, formats=FORMATS)
        with picture:
            # MPO holds further views of the same scene.
            if picture.format != "MPO" and (frames := getattr(picture, "n_frames", 1)) > 1:
                raise DataError(f"{path} cannot be read: it holds {frames} pictures, not one; replace the file")
            turn = _TURNS[orientation(picture)]
            if picture.format == "TIFF" and turn is not None and turn in _LYING:
                # Pillow 13 mixes up the rows of uncompressed files whose sides it exchanges.
                turned = _load_as_stored(path, content).transpose(turn)
                turned.format = "TIFF"
                return turned
            picture.load()
            return picture
    except DataError:
        raise
    except Image.UnidentifiedImageError as error:
        if (found := _load_numbers(path, content)) is not None:
            return found
        raise cannot_be_read(path, error) from error
    except Exception as error:  # Damaged files make decoders raise almost anything.
        raise cannot_be_read(path, error) from error


def _load_numbers(path: Path, content: BinaryIO | None) -> Image.Image | None:
    """Return a TIFF file of numbers that Pillow has no mode for, such as 64 bits; None if it is no TIFF file."""
    if content is not None:
        content.seek(0)
    data = path.read_bytes() if content is None else content.read()
    if data[:4] not in TIFF_STARTS:
        return None
    from naslora_core.data.dataset.image_files.tiff import read_tiff_numbers

    values = read_tiff_numbers(path, data)
    picture = Image.fromarray(values)
    picture.format = "TIFF"
    return picture


def _load_as_stored(path: Path, content: BinaryIO | None) -> Image.Image:
    from naslora_core.data.dataset.image_files.tiff import without_orientation

    if content is not None:
        content.seek(0)
    data = path.read_bytes() if content is None else content.read()
    with Image.open(BytesIO(without_orientation(data)), formats=FORMATS) as picture:
        picture.load()
        return picture


def cannot_be_read(path: Path, error: Exception) -> DataError:
    """Return what to raise for a file that a decoder has refused with `error`."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} not found; put it back, or remove its partner")
    return DataError(f"{path} cannot be read: {_reason(error, path)}; replace the file")


def check_integrity(picture: Image.Image, path: Path, content: bytes | None = None) -> None:
    """Check what decoding leaves unchecked: the checksums of a PNG file.

    Raises:
        DataError: if one is wrong.
    """
    if picture.format != "PNG":
        return
    try:
        with Image.open(path if content is None else BytesIO(content), formats=FORMATS) as opened:
            opened.verify()
    except Exception as error:
        raise DataError(f"{path} cannot be read: {_reason(error, path)}; replace the file") from error


def to_rgb(picture: Image.Image, path: Path) -> np.ndarray:
    """Return a loaded picture as (H, W, 3) uint8 RGB, upright, transparency dropped.

    Raises:
        DataError: if it has more than 8 bits a channel.
    """
    if picture.mode in DEEP_MODES:
        raise DataError(f"{path} has more than 8 bits a channel (mode {picture.mode}); convert it to 8 bits")
    upright = _upright(picture)
    # Converting copies the pixels, even those of an RGB picture.
    return np.asarray(upright if upright.mode == "RGB" else upright.convert("RGB"))


def to_mask_values(picture: Image.Image, path: Path) -> np.ndarray:
    """Return a loaded mask as stored: (H, W), upright, uint8 or wider; of several channels the brightest.

    Raises:
        DataError: if it has values that are not a number.
    """
    inverted = is_shown_inverted(picture)
    picture = _upright(picture)
    if picture.mode in DEEP_MODES:
        return _finite(np.asarray(picture), path)
    if picture.mode in ("1", "L", "LA"):
        levels = np.asarray(picture.convert("L"))
        return 255 - levels if inverted else levels
    # Not luma: a mask painted in pure blue would come out as 29 and be lost at a threshold of 128. Band by band, as a
    # maximum over three neighbouring numbers takes many times as long.
    red, green, blue = (np.asarray(band) for band in picture.convert("RGB").split())
    return np.maximum(np.maximum(red, green), blue)


def to_indices(picture: Image.Image, path: Path) -> np.ndarray:
    """Return the values of a loaded mask, (H, W), upright; palette indices of a palette file.

    Raises:
        DataError: if it has several channels that differ, or values that are not whole numbers.
    """
    if picture.mode not in DEEP_MODES | {"1", "L", "LA", "P"} and not is_grey(picture):
        raise DataError(f"{path} has {len(picture.getbands())} channels; masks whose classes are numbers have one")
    values = np.asarray(_upright(picture)) if picture.mode == "P" else to_mask_values(picture, path)
    if values.dtype.kind == "f":
        if not np.array_equal(values, values.astype(np.int64)):
            raise DataError(f"{path} has values that are not whole numbers; masks whose classes are numbers need such")
        values = values.astype(np.int64)
    return values


def is_grey(picture: Image.Image) -> bool:
    """Return whether the colours of a loaded picture are levels of grey."""
    red, green, blue = (np.asarray(band) for band in picture.convert("RGB").split())
    return np.array_equal(red, blue) and np.array_equal(red, green)


def is_shown_inverted(picture: Image.Image) -> bool:
    """Return whether Pillow has inverted a TIFF that stores white as zero.

    A mask holds numbers, and tifffile stores arrays of booleans in that way: what is stored is what was meant.
    """
    tags = getattr(picture, "tag_v2", None) or {}
    if tags.get(_PHOTOMETRIC) != _WHITE_IS_ZERO or tags.get(_COMPRESSION) in _OF_FAX:
        return False
    return picture.mode in ("1", "L")


def to_alpha(picture: Image.Image, path: Path) -> np.ndarray:
    """Return how opaque the pixels of a loaded mask are, (H, W) uint8, upright.

    Raises:
        DataError: if it has no transparency.
    """
    if not picture.has_transparency_data:
        raise DataError(f"{path} has no alpha channel, which holds the mask in this dataset (mask_reading: alpha)")
    return np.asarray(_upright(picture).convert("RGBA").getchannel("A"))


def to_colours(picture: Image.Image) -> np.ndarray:
    """Return the colours of a loaded mask, (H, W) int32, 0xRRGGBB, upright."""
    red, green, blue = np.moveaxis(np.asarray(_upright(picture).convert("RGB")).astype(np.int32), 2, 0)
    colours: np.ndarray = (red << 16) | (green << 8) | blue
    return colours


def orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation: 1 is upright, 2 to 8 are rotated or mirrored."""
    try:
        found = picture.getexif().get(ExifTags.Base.Orientation, 1)
    # Damaged notes make Pillow raise almost anything; the picture is then shown as it is stored, by all programs.
    except Exception:
        return 1
    return found if isinstance(found, int) and found in _TURNS else 1


def _upright(picture: Image.Image) -> Image.Image:
    # Transposing copies the pixels, even those of an upright picture.
    turn = _TURNS[orientation(picture)]
    return picture if turn is None else picture.transpose(turn)


def turned(values: np.ndarray, turn: int) -> np.ndarray:
    """Return (H, W, C) upright, by an EXIF orientation."""
    if turn >= 5:
        values = values.transpose(1, 0, 2)
    # After mirroring at the diagonal, 5 is upright, 6 is left for right, 7 both ways, 8 upside down.
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(turn, ())
    return np.flip(values, flips) if flips else values


def _finite(values: np.ndarray, path: Path) -> np.ndarray:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(f"{path} has pixels that are not a number (NaN or infinite); write it anew in 8 bits")
    return values


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"{error}".split(", could be")[0]
    if isinstance(error, Image.UnidentifiedImageError):
        return f"it is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file"
    return str(error).replace(str(path), path.name) or type(error).__name__
