"""Read image files as RGB, whatever their depth and bands, as the card of their dataset says."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.dataset.image_files import opencv
from naslora_core.data.dataset.image_files.facts import ImageFacts, facts_of, is_sure_to_be_plain, read_facts
from naslora_core.data.dataset.image_files.pixels import check_integrity, load_picture, orientation, to_rgb, turned
from naslora_core.data.dataset.image_files.proposal import propose, sample_values, usual_bands
from naslora_core.data.dataset.image_files.reading import WHITE, ImageReading
from naslora_core.errors import DataError

# What the limit to the pixels is meant for: four bands of 16 bits.
_BITS_PER_PIXEL = 64


class ReadingMissingError(DataError):
    """An image needs to be told how its values become grey levels, and nothing says so."""


@dataclass(frozen=True)
class OpenedImage:
    """An image as RGB (H, W, 3) uint8, upright, and what its file says of it."""

    rgb: np.ndarray
    facts: ImageFacts


def read_image(path: Path, reading: ImageReading | None = None, content: bytes | None = None) -> np.ndarray:
    """Return an image as RGB, rotated by its EXIF orientation.

    Args:
        path: the file.
        reading: how stored values become grey levels; None where the images are plain ones of 8 bits.
        content: what is in the file, if it is in memory; then `path` is but its name in errors.

    Returns:
        (H, W, 3) uint8 RGB, EXIF orientation applied, transparency dropped.

    Raises:
        ReadingMissingError: without a reading, if the file has more than 8 bits, or bands that are no colours.
        DataError: if the file is missing, cut short or not an image, or does not fit the reading.
    """
    return open_image(path, reading, content).rgb


def open_image(
    path: Path, reading: ImageReading | None = None, content: bytes | None = None, is_checked: bool = False
) -> OpenedImage:
    """Read an image as `read_image` does, and return with it what its file says.

    Args:
        is_checked: check also what decoding leaves unchecked, the checksums of a PNG file.

    Raises:
        DataError: as `read_image`.
    """
    facts = None if reading is None and is_sure_to_be_plain(path, content) else read_facts(path, content)
    if facts is None or (reading is None and facts.is_plain):
        picture = load_picture(path, None if content is None else BytesIO(content))
        if is_checked:
            check_integrity(picture, path)
        # Not by `read_facts`: of a PNG file it decodes all pixels, as notes may follow them.
        return OpenedImage(to_rgb(picture, path), facts or facts_of(picture))
    if reading is None:
        bands = usual_bands(facts)
        proposed = propose(sample_values(read_bands(path, facts, content), bands), facts, bands)
        raise ReadingMissingError(
            f"{path} has {facts}; say in dataset.yaml which bands are shown, and which values are black and white; "
            f"as measured in this file: {proposed}"
        )
    stored = read_bands(path, facts, content)
    require_fit(path, stored.shape[2], stored.dtype == np.uint8, reading)
    chosen = [stored[..., number - 1] for number in reading.bands]
    if stored.dtype.kind == "f" and not any(np.isfinite(band).any() for band in chosen):
        raise DataError(f"{path} has no pixel that is a number (all are NaN or infinite); replace the file")
    return OpenedImage(reading.convert(chosen), facts)


def read_bands(path: Path, facts: ImageFacts, content: bytes | None = None) -> np.ndarray:
    """Return the numbers of an image as they are stored: (H, W, bands), rotated by its EXIF orientation.

    Colours of a palette, and such that are no RGB, come as RGB.

    Raises:
        DataError: if the file is missing, cut short, of more pixels than Pillow deems safe to decode, or complex.
    """
    if facts.kind == "c":
        raise DataError(f"{path} has complex numbers, of which no picture can be made; write their magnitude")
    limit = Image.MAX_IMAGE_PIXELS
    pixels = facts.height * facts.width
    if limit is not None and (pixels > limit or pixels * facts.bands * facts.bits > _BITS_PER_PIXEL * limit):
        raise DataError(
            f"{path} cannot be read: {facts.width}x{facts.height} pixels with {facts} exceed the limit, which is "
            f"{limit} pixels of {_BITS_PER_PIXEL} bits; cut it into pieces"
        )
    if facts.format == "TIFF" and not facts.is_plain:
        from naslora_core.data.dataset.image_files.tiff import read_tiff_bands

        return turned(read_tiff_bands(path, content), facts.orientation)
    picture = load_picture(path, None if content is None else BytesIO(content))
    check_integrity(picture, path, content)
    if facts.is_plain:
        plain = picture if picture.mode in ("L", "LA", "RGB", "RGBA") else picture.convert(_plain_mode(picture))
        values = np.asarray(plain)
        return turned(values if values.ndim == 3 else values[..., None], orientation(picture))
    return turned(_deep_png(path, facts, content), facts.orientation)


def require_fit(path: Path, bands: int, has_bytes: bool, reading: ImageReading) -> None:
    """Check that an image can be read as declared.

    Args:
        path: of the image.
        bands: how many it has.
        has_bytes: its values end at 255.
        reading: what is declared.

    Raises:
        DataError: if it lacks a band, or cannot reach what is white.
    """
    if max(reading.bands) > bands:
        raise DataError(
            f"{path} has {bands} band{'' if bands == 1 else 's'}, and band {max(reading.bands)} is asked for "
            f"({reading}); give an image with the bands that the training images have, or correct dataset.yaml"
        )
    high = reading.range.high
    if has_bytes and high is not None and high > WHITE:
        raise DataError(
            f"{path} has 8 bits a channel, whose values end at {WHITE}, and white is {high} here ({reading}); give "
            "the image as it was before it was converted to 8 bits"
        )


def _plain_mode(picture: Image.Image) -> str:
    return "L" if picture.mode == "1" else "RGB"


def _deep_png(path: Path, facts: ImageFacts, content: bytes | None) -> np.ndarray:
    values = opencv.decode(path.read_bytes() if content is None else content)
    if values is None or values.dtype != np.uint16:
        raise DataError(f"{path} cannot be read: its {facts.bits} bits a channel cannot be decoded; replace the file")
    if facts.bands == 2:
        # OpenCV has no grey with transparency, and makes it blue, green, red and transparency.
        return values[..., [0, -1]]
    return values
