"""What an image file says of its pixels: depth, bands and size, by its own header.

Pillow's mode does not tell: it calls a picture of 16 bits a channel RGB, and keeps the high byte of each.
"""

import stat
import struct
import warnings
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from PIL import Image

from naslora_core.data.dataset.image_files.pixels import FORMATS, TIFF_STARTS, cannot_be_read, orientation
from naslora_core.errors import DataError

BITS_OF_PLAIN = 8
_PNG = b"\x89PNG\r\n\x1a\n"
# By PNG's type of colour: how many bands, and whether the last of them is how opaque a pixel is.
_PNG_BANDS = {0: (1, False), 2: (3, False), 3: (1, False), 4: (2, True), 6: (4, True)}
_NUMBERS = {"u": "", "i": " with a sign", "f": " floating point", "c": " complex"}


@dataclass(frozen=True)
class ImageFacts:
    """What the header of an image file says.

    Attributes:
        format: as Pillow calls it.
        mode: Pillow's mode, or the type of the numbers where Pillow has none for them, such as uint16.
        bands: per pixel, one that says how opaque it is included.
        shown_bands: without that one.
        bits: of a number.
        kind: of the numbers, as numpy's: u, i, f or c.
        height: in pixels, as stored.
        width: likewise.
        orientation: of EXIF; 1 is upright.
        is_plain: grey, palette or colours of up to 8 bits, which mean what they mean to every program.
        names_colours: the file says which of its bands are red, green and blue.
    """

    format: str
    mode: str
    bands: int
    shown_bands: int
    bits: int
    kind: str
    height: int
    width: int
    orientation: int
    is_plain: bool
    names_colours: bool

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels when upright."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)

    def kind_alone(self) -> "ImageFacts":
        """Return the depth and the bands alone, which all images of one camera share."""
        return replace(self, format="", mode="", height=0, width=0, orientation=1)

    def __str__(self) -> str:
        count = f"{self.bands} band{'' if self.bands == 1 else 's'}"
        return f"{count} of {self.bits} bits{_NUMBERS.get(self.kind, '')}"


def read_facts(path: Path, content: bytes | None = None) -> ImageFacts:
    """Return what the header of an image file says; no pixel is decoded.

    Args:
        path: the file.
        content: what is in it, if it is in memory; then `path` is but its name in errors.

    Raises:
        DataError: if it is missing, not a file, or not an image.
    """
    try:
        start = _start(path, content)
        if start[:4] in TIFF_STARTS:
            from naslora_core.data.dataset.image_files.tiff import read_tiff_facts

            return read_tiff_facts(path, content)
        with warnings.catch_warnings():
            # Whoever decodes the pixels refuses what has too many of them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(path if content is None else BytesIO(content), formats=FORMATS)
        with opened as picture:
            return _of_png(start, picture) if start.startswith(_PNG) else facts_of(picture)
    except DataError:
        raise
    except Exception as error:  # Damaged files make decoders raise almost anything.
        raise cannot_be_read(path, error) from error


def is_sure_to_be_plain(path: Path, content: bytes | None = None) -> bool:
    """Return whether the first bytes rule out whatever is not plain; then Pillow's picture says all: `facts_of`.

    Raises:
        DataError: if the file is missing, or not a file.
    """
    try:
        start = _start(path, content)
    except OSError as error:
        raise cannot_be_read(path, error) from error
    return start[:4] not in TIFF_STARTS and not (start.startswith(_PNG) and start[24:25] > bytes([BITS_OF_PLAIN]))


def _start(path: Path, content: bytes | None) -> bytes:
    """Return as many of the first bytes as say of a PNG file how deep it is."""
    if content is not None:
        return content[:33]
    if not stat.S_ISREG(path.stat().st_mode):
        raise DataError(f"{path} cannot be read: it is a folder or a device, not a file; replace the file")
    with path.open("rb") as file:
        return file.read(33)


def facts_of(picture: Image.Image) -> ImageFacts:
    """Return what the header of a plain image says, which Pillow has opened."""
    bands = len(picture.getbands())
    return ImageFacts(
        format=str(picture.format), mode=picture.mode, bands=bands, shown_bands=bands - (picture.mode[-1] in "Aa"),
        bits=1 if picture.mode == "1" else 8, kind="u", height=picture.height, width=picture.width,
        orientation=orientation(picture), is_plain=True, names_colours=bands >= 3,
    )  # fmt: skip


def _of_png(start: bytes, picture: Image.Image) -> ImageFacts:
    depth, colours = struct.unpack(">BB", start[24:26])
    if depth <= BITS_OF_PLAIN:
        return facts_of(picture)
    bands, has_alpha = _PNG_BANDS[colours]
    return ImageFacts(
        format="PNG", mode="uint16", bands=bands, shown_bands=bands - has_alpha, bits=depth, kind="u",
        height=picture.height, width=picture.width, orientation=orientation(picture), is_plain=False,
        names_colours=bands >= 3,
    )  # fmt: skip
