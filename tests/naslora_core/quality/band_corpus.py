"""More bad and unusual input: images of more than 8 bits, of other numbers or of other bands, and damaged ones."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import tifffile

from tests.naslora_core.quality.corpus import IMAGE_OPENS, SIZE, Entry, draw, image


def deep(bands: int = 3, dtype: str = "uint16") -> np.ndarray:
    """Return (H, W, bands) with values of 12 bits."""
    grey = draw(90).astype(np.uint32) * 16
    return grey[..., np.arange(bands) % 3].astype(dtype)


def png(bands: int) -> Callable[[Path], None]:
    """Return what writes a PNG of 16 bits: grey, colours, or colours and how opaque they are."""

    def write(path: Path) -> None:
        pixels = deep(bands)
        path.write_bytes(cv2.imencode(".png", pixels[..., 0] if bands == 1 else pixels)[1].tobytes())

    return write


def tiff(pixels: Callable[[], np.ndarray], **options: object) -> Callable[[Path], None]:
    """Return what puts a TIFF in the place of the PNG."""

    def write(path: Path) -> None:
        path.unlink()
        values = pixels()
        layout = {} if values.ndim == 2 or options.get("imagej") else {"planarconfig": "contig"}
        tifffile.imwrite(path.with_suffix(".tif"), values, **{"metadata": None, **layout, **options})

    return write


def spoil_tiff(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Return what puts a damaged TIFF of 16 bits in the place of the PNG."""

    def write(path: Path) -> None:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, deep(), photometric="rgb", compression="zlib", metadata=None)
        path.unlink()
        path.with_suffix(".tif").write_bytes(change(buffer.getvalue()))

    return write


def set_tag(code: int, value: int) -> Callable[[bytes], bytes]:
    """Return a function that overwrites a tag, of one short or long number, of a TIFF file's first picture."""

    def change(content: bytes) -> bytes:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            tag = file.pages.first.tags[code]
            packed = struct.pack("<H" if tag.dtype == 3 else "<I", value)
            return content[: tag.valueoffset] + packed + content[tag.valueoffset + len(packed) :]

    return change


WIDTH, DEPTH, COMPRESSION, BANDS = 256, 258, 259, 277
GREY = {"photometric": "minisblack"}
RGB = {"photometric": "rgb"}
REFUSED = {
    "deep_png_in_colours": png(3),
    "deep_png_with_alpha": png(4),
    "deep_png_in_grey": png(1),
    "deep_tiff_in_colours": tiff(deep, **RGB),
    "tiff_of_32_bits": tiff(lambda: deep(1, "uint32")[..., 0], **GREY),
    "tiff_with_a_sign": tiff(lambda: deep(1, "int16")[..., 0], **GREY),
    "float_tiff": tiff(lambda: deep(3, "float32"), **RGB),
    "float_tiff_of_nan": tiff(lambda: np.full(SIZE, np.nan, np.float32), **GREY),
    "complex_tiff": tiff(lambda: deep(1, "complex64")[..., 0], **GREY),
    "two_bands": tiff(lambda: deep(2, "uint8"), **GREY),
    "four_bands": tiff(lambda: deep(4, "uint8"), **GREY),
    "channels_of_imagej": tiff(lambda: np.moveaxis(deep(2), 2, 0), imagej=True, metadata={"axes": "CYX"}),
    "deep_tiff_in_inks": tiff(lambda: deep(4), photometric="separated"),
    "volume_of_imagej": tiff(lambda: np.moveaxis(deep(5), 2, 0), imagej=True, metadata={"axes": "ZYX"}),
    "cut_deep_tiff": spoil_tiff(lambda content: content[: len(content) // 2]),
    "tiff_bomb": spoil_tiff(set_tag(WIDTH, 2_000_000_000)),
    "tiff_of_strange_depth": spoil_tiff(set_tag(BANDS, 60_000)),
    "tiff_in_a_strange_compression": spoil_tiff(set_tag(COMPRESSION, 34_712)),
    "tiff_of_tags_alone": spoil_tiff(lambda content: content[:8]),
}
LYING = tiff(lambda: np.rot90(draw(91)).copy(), photometric="rgb", extratags=[(274, 3, 1, 6, True)])
BAND_ENTRIES = (
    *(Entry(name, image(write), (IMAGE_OPENS,)) for name, write in REFUSED.items()),
    Entry("tiff_on_its_side", image(LYING), ("warning image_upright image",)),
    Entry(
        "colours_and_infrared", image(tiff(lambda: draw(92)[..., [0, 1, 2, 0]], **RGB, extrasamples=["unspecified"]))
    ),
)
