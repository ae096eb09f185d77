"""TIFF files of any depth and number of bands: what their tags say, and their numbers as stored."""

import logging
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from naslora_core.data.dataset.image_files import opencv
from naslora_core.data.dataset.image_files.facts import BITS_OF_PLAIN, ImageFacts
from naslora_core.data.dataset.image_files.pixels import cannot_be_read, turned
from naslora_core.errors import DataError

# What is wrong with a file is in our own message; without a handler the library's would go to the terminal too.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
_ORIENTATION = 274
_MOST = np.iinfo(np.int32).max
# How many bands a photometric interpretation has by itself; what comes on top are extra samples.
_OWN_BANDS = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3}
_RGB, _WHITE_IS_ZERO, _PALETTE = 2, 0, 3
# Of more than 8 bits there is nothing here that makes RGB of them.
_NO_RGB = {
    3: "a palette",
    5: "colours as inks (CMYK)",
    6: "colours as YCbCr",
    8: "colours as CIELAB",
    9: "colours as ICCLAB",
}
_ALPHA, _JPEG = (1, 2), 7
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u", 5: "c", 6: "c"}
# None, LZW, deflate by both its numbers, PackBits: what OpenCV's own library unpacks.
_OPENCV_UNPACKS = (1, 5, 8, 32773, 32946)
REMEDY = (
    "install imagecodecs (pip install imagecodecs) or rasterio (pip install 'naslora[geotiff]'), or write it anew "
    "without compression"
)


def read_tiff_facts(path: Path, content: bytes | None = None) -> ImageFacts:
    """Return what the tags of a TIFF file say of its first picture.

    Raises:
        DataError: if they are damaged.
    """
    try:
        with _opened(path, content) as file:
            if not len(file.pages):
                raise DataError(f"{path} cannot be read: it holds no picture; replace the file")
            return _facts(file)
    except DataError:
        raise
    except Exception as error:  # Damaged tags make tifffile raise almost anything.
        raise cannot_be_read(path, error) from error


def read_tiff_bands(path: Path, content: bytes | None = None) -> np.ndarray:
    """Return the numbers of a TIFF file as they are stored, (H, W, bands), not turned by its orientation.

    Channels that OME and ImageJ files keep as pictures of their own are bands. Where zero is white (MinIsWhite), the
    numbers returned count from the largest one downwards, so that more is brighter.

    Raises:
        DataError: if it is damaged, holds several pictures, or is compressed in a way that no library here unpacks.
    """
    try:
        with _opened(path, content) as file:
            _require_one_picture(file, path)
            series, page = file.series[0], file.pages.first
            if (colours := _NO_RGB.get(int(page.photometric))) is not None:
                raise DataError(f"{path} has {colours} of {_bits(page)} bits; convert it to RGB or grey")
            try:
                values = series.asarray()
            except (ImportError, NotImplementedError, ValueError) as error:
                values = _unpacked_elsewhere(path, content, page, error)
                return _upside_down(values, page) if page.photometric == _WHITE_IS_ZERO else values
            values = _bands_last(values, series.axes, path)
            return _upside_down(values, page) if page.photometric == _WHITE_IS_ZERO else values
    except DataError:
        raise
    except Exception as error:  # As above.
        raise cannot_be_read(path, error) from error


def read_tiff_numbers(path: Path, content: bytes) -> np.ndarray:
    """Return the numbers of a TIFF file of one band, (H, W), upright: float32 of fractions, else int32, as stored.

    Raises:
        DataError: if it has several bands, numbers beyond 32 bits, or is damaged; see `read_tiff_bands`.
    """
    facts = read_tiff_facts(path, content)
    limit = Image.MAX_IMAGE_PIXELS
    if facts.bands != 1 or facts.kind == "c":
        raise DataError(f"{path} has {facts}; a mask has one band, or is a plain picture of 8 bits")
    if limit is not None and facts.height * facts.width > limit:
        raise DataError(f"{path} cannot be read: {facts.width}x{facts.height} pixels exceed the limit of {limit}")
    values = turned(read_tiff_bands(path, content), facts.orientation)[..., 0]
    if facts.kind == "f":
        return values.astype(np.float32)
    if values.size and (values.max() > _MOST or values.min() < -_MOST):
        raise DataError(f"{path} has values up to {values.max()}, which no mask can hold; number its objects anew")
    return values.astype(np.int32)


def without_orientation(content: bytes) -> bytes:
    """Return a TIFF file that says of its first picture that it is upright, and is the same otherwise."""
    with _opened(Path(), content) as file:
        tag = file.pages.first.tags[_ORIENTATION]
        upright = (1).to_bytes(2, "little" if file.byteorder == "<" else "big")
        return content[: tag.valueoffset] + upright + content[tag.valueoffset + 2 :]


def _opened(path: Path, content: bytes | None) -> tifffile.TiffFile:
    return tifffile.TiffFile(path if content is None else BytesIO(content))


def _facts(file: tifffile.TiffFile) -> ImageFacts:
    page = file.pages.first
    bands, bits, photometric = int(page.samplesperpixel), _bits(page), int(page.photometric)
    kind = _KINDS.get(int(page.sampleformat), "u")
    own = _OWN_BANDS.get(photometric, 1)
    extra = tuple(int(sample) for sample in page.extrasamples) or (0,) * (bands - own)
    has_alpha = bands > own and extra[-1:] in ((1,), (2,))
    is_plain = bits <= BITS_OF_PLAIN and kind == "u" and (
        not extra or (len(extra) == 1 and extra[0] in _ALPHA) or (photometric == _RGB and bands <= 4)
    )  # fmt: skip
    if (channels := _channels(file)) > 1:
        bands, has_alpha, is_plain = bands * channels, False, False
    turned = page.tags[_ORIENTATION].value if _ORIENTATION in page.tags else 1
    return ImageFacts(
        format="TIFF", mode=_mode(page, kind, bits, is_plain), bands=bands,
        shown_bands=bands - has_alpha, bits=bits, kind=kind, height=int(page.imagelength), width=int(page.imagewidth),
        orientation=turned if turned in range(1, 9) else 1, is_plain=is_plain, names_colours=photometric == _RGB,
    )  # fmt: skip


def _bits(page: tifffile.TiffPage) -> int:
    depths = page.bitspersample
    return max(int(depth) for depth in depths) if isinstance(depths, tuple) else int(depths)


def _mode(page: tifffile.TiffPage, kind: str, bits: int, is_plain: bool) -> str:
    bands, photometric = page.samplesperpixel, int(page.photometric)
    if not is_plain:
        return {"u": "uint", "i": "int", "f": "float", "c": "complex"}[kind] + str(bits)
    if bits == 1:
        return "1"
    if photometric in (6, 8) and int(page.compression) != _JPEG:
        return {6: "YCbCr", 8: "LAB"}[photometric]
    grey = "P" if photometric == _PALETTE else "L"
    return {1: grey, 2: "LA", 3: "RGB"}.get(bands, "CMYK" if photometric == 5 else "RGBA")


def _channels(file: tifffile.TiffFile) -> int:
    """Return how many pictures of an OME or ImageJ file are channels of one."""
    if not (file.is_ome or file.is_imagej):
        return 1
    series = file.series[0]
    return int(series.shape[series.axes.index("C")]) if "C" in series.axes else 1


def _require_one_picture(file: tifffile.TiffFile, path: Path) -> None:
    # Smaller copies (overviews) and masks of transparency are of the same picture.
    others = [series for series in file.series[1:] if not (series.keyframe.is_reduced or series.keyframe.is_mask)]
    if others:
        raise DataError(f"{path} cannot be read: it holds {len(others) + 1} pictures, not one; replace the file")


def _bands_last(values: np.ndarray, axes: str, path: Path) -> np.ndarray:
    """Return the values of a series as (H, W, bands)."""
    kept = [place for place, axis in enumerate(axes) if axis in "YX" or values.shape[place] > 1]
    values = values.reshape([values.shape[place] for place in kept])
    axes = "".join(axes[place] for place in kept)
    if other := sorted(set(axes) - set("YXSC")):
        count = int(np.prod([values.shape[axes.index(axis)] for axis in other]))
        raise DataError(f"{path} cannot be read: it holds {count} pictures, not one; replace the file")
    # Numbers of one bit come as truth.
    values = values.view(np.uint8) if values.dtype == bool else values
    order = [axes.index("Y"), axes.index("X"), *(axes.index(axis) for axis in "CS" if axis in axes)]
    values = values.transpose(order)
    return values.reshape(*values.shape[:2], -1)


def _upside_down(values: np.ndarray, page: tifffile.TiffPage) -> np.ndarray:
    if values.dtype.kind != "u":
        return -values
    return values.dtype.type((1 << _bits(page)) - 1) - values


def _unpacked_elsewhere(path: Path, content: bytes | None, page: tifffile.TiffPage, reason: Exception) -> np.ndarray:
    """Unpack what tifffile cannot without imagecodecs: by OpenCV where that is known to be exact, else by rasterio."""
    data = path.read_bytes() if content is None else content
    bands, bits = page.samplesperpixel, _bits(page)
    in_order = bands == 1 or (int(page.photometric) == _RGB and bands in (3, 4) and page.planarconfig == 1)
    if int(page.compression) in _OPENCV_UNPACKS and bits in (16, 32) and in_order:
        values = opencv.decode(data)
        if values is not None and values.dtype == page.dtype and values.shape[:2] == page.shape[:2]:
            return values
    try:
        from rasterio.errors import NotGeoreferencedWarning, RasterioError
        from rasterio.io import MemoryFile
    except ImportError:
        raise DataError(f"{path} cannot be read: {reason}; {REMEDY}") from reason
    try:
        with warnings.catch_warnings():
            # Most images lie nowhere on Earth.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with MemoryFile(data) as memory, memory.open(driver="GTiff") as file:
                return np.moveaxis(file.read(), 0, 2)
    except RasterioError as error:
        # Its own message names a file in memory.
        raise DataError(f"{path} cannot be read: {reason}; {REMEDY}") from error
