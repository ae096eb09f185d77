"""Read GeoTIFF images of any size and band count, and the georeference that their predictions carry over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from naslora_core.data.dataset.image_files.facts import BITS_OF_PLAIN, read_facts
from naslora_core.data.dataset.image_files.images import ReadingMissingError, read_image, require_fit
from naslora_core.data.dataset.image_files.reading import ImageReading
from naslora_core.errors import DataError

INSTALL = "pip install 'naslora[geotiff]'"
# ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory, GeoDoubleParams, GeoAsciiParams.
_GEOREFERENCE = (33550, 33922, 34264, 34735, 34736, 34737)
_ORIENTATION = 274
# Code, type, count and value, as `tifffile.imwrite` takes them.
Tags = list[tuple[int, int, int, Any, bool]]


def georeference(path: Path) -> Tags:
    """Return the georeferencing tags of an image; none if it is no GeoTIFF.

    An image of the same pixels that carries them lies at the same place, whichever library reads it.
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        return []
    try:
        with tifffile.TiffFile(path) as file:
            tags = file.pages.first.tags
            if _ORIENTATION in tags and tags[_ORIENTATION].value != 1:
                return []
            found = [tags[code] for code in _GEOREFERENCE if code in tags]
            return [(tag.code, tag.dtype, tag.count, tag.value, True) for tag in found]
    except (OSError, ValueError, tifffile.TiffFileError):
        # A damaged file; what is wrong with it, reading its pixels will say.
        return []


def read_geotiff(path: Path, reading: ImageReading | None = None) -> np.ndarray:
    """Return a GeoTIFF of any size and number of bands as RGB.

    With a reading it is read by the bands and the range that are named there. Without one red, green and blue are the
    bands that say so, else the first three; one or two bands are grey, the first of them. Where rasterio is missing it
    is what `read_image` makes of it: that has a limit to the size, and knows fewer kinds.

    Returns:
        (H, W, 3) uint8.

    Raises:
        DataError: if it cannot be read, does not fit the reading, or has more than 8 bits a band without one.
    """
    try:
        import rasterio
    except ImportError:
        try:
            return read_image(path, reading)
        except DataError as error:
            if isinstance(error, ReadingMissingError) and read_facts(path).bits > BITS_OF_PLAIN:
                raise
            raise DataError(f"{error}; or let rasterio read it: {INSTALL}") from error
    try:
        with rasterio.open(path, driver="GTiff") as file:
            if reading is not None:
                return _as_declared(file, path, reading)
            if set(file.dtypes) != {"uint8"}:
                raise DataError(
                    f"{path} has bands of {', '.join(sorted(set(file.dtypes)))}; convert it to 8 bits as the training "
                    "images were, for example with gdal_translate -ot Byte -scale LOW HIGH"
                )
            if (palette := _palette(file)) is not None:
                return palette[file.read(1)]
            pixels = np.empty((*file.shape, 3), dtype=np.uint8)
            for place, band in enumerate(_bands(file)):
                pixels[..., place] = file.read(band)
            return pixels
    except rasterio.errors.RasterioError as error:
        raise DataError(f"{path} cannot be read: {error}; replace the file") from error


def to_longitude_latitude(path: Path) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what maps points of a GeoTIFF, (N, 2) of x and y in pixels, to longitude and latitude in WGS 84.

    None where the file names no coordinate system.

    Raises:
        DataError: without rasterio, which knows the coordinate systems.
    """
    try:
        import rasterio
        from rasterio.warp import transform
    except ImportError as error:
        raise DataError(f"{path} is a GeoTIFF, whose polygons only rasterio can place on Earth: {INSTALL}") from error
    with rasterio.open(path, driver="GTiff") as file:
        system, (a, b, c, d, e, f) = file.crs, file.transform[:6]
    if system is None:
        return None

    def project(points: np.ndarray) -> np.ndarray:
        x, y = points.T
        longitude, latitude = transform(system, "EPSG:4326", a * x + b * y + c, d * x + e * y + f)[:2]
        return np.stack([longitude, latitude], axis=1)

    return project


def _as_declared(file: Any, path: Path, reading: ImageReading) -> np.ndarray:
    require_fit(path, file.count, file.dtypes[0] == "uint8", reading)
    if any(name.startswith("complex") for name in file.dtypes):
        raise DataError(f"{path} has complex numbers, of which no picture can be made; write their magnitude")
    return reading.convert([file.read(band) for band in reading.bands])


def _bands(file: Any) -> list[int]:
    named = {interpretation.name: band for band, interpretation in zip(file.indexes, file.colorinterp, strict=True)}
    if {"red", "green", "blue"} <= named.keys():
        return [named["red"], named["green"], named["blue"]]
    return [1, 2, 3] if file.count >= 3 else [1, 1, 1]


def _palette(file: Any) -> np.ndarray | None:
    """Return the colours (256, 3) uint8 of a file whose values are numbers of colours, else None."""
    if file.colorinterp[0].name != "palette":
        return None
    colours = np.zeros((256, 3), dtype=np.uint8)
    for number, colour in file.colormap(1).items():
        colours[number] = colour[:3]
    return colours
