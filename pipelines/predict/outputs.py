"""Write the output files of a prediction, each atomically: mask, overlay, probability, polygons."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from naslora_core.data.dataset.geotiff import Tags, georeference, to_longitude_latitude
from naslora_core.evaluation.segmented import decide
from naslora_core.files import atomic_file, write_json
from naslora_core.geometry.polygons import geojson
from naslora_core.pictures.overlays import PREDICTION_COLOUR, class_colour
from pipelines.predict.inputs import InputImage

_TINT = 0.45
# (256, 3), a colour for every class id; the background is black.
CLASS_PALETTE = np.array([(0, 0, 0), *map(class_colour, range(1, 256))], dtype=np.uint8)
# As large as float64 colours of this many rows of a very large image may be.
_ROWS_AT_ONCE = 256
# What 1 is in a probability file.
_ONE = {"float32": 1.0, "uint16": 65535.0, "uint8": 255.0}


@dataclass(frozen=True)
class OutputChoice:
    """Which files are written beside the mask, and the threshold for masks.

    Attributes:
        folder: created if missing.
        threshold: see `decide`.
        classes: names of the class ids from 1 on.
        overlay: write <name>_overlay.png.
        probability: how <name>_probability.tif holds numbers: "float32", "uint16" or "uint8"; None writes none.
        has_polygons: write <name>_polygons.geojson.
    """

    folder: Path
    threshold: float
    classes: tuple[str, ...]
    overlay: bool = True
    probability: str | None = None
    has_polygons: bool = False

    def files(self, image: InputImage) -> dict[str, Path]:
        """Return the files that an image will have, by kind, the mask first."""
        suffixes = {"mask": "mask.tif" if georeference(image.path) else "mask.png"}
        suffixes |= {"overlay": "overlay.png"} if self.overlay else {}
        suffixes |= {"probability": "probability.tif"} if self.probability else {}
        suffixes |= {"polygons": "polygons.geojson"} if self.has_polygons else {}
        return {kind: self.folder / f"{image.name}_{suffix}" for kind, suffix in suffixes.items()}


class ImageOutput:
    """Collects the rows of one image's prediction, and writes its files when complete.

    Args:
        choice: what to write.
        image: where the pixels come from.
        pixels: (H, W, 3) uint8 RGB.

    Raises:
        DataError: if polygons are wanted of a GeoTIFF, and rasterio is not installed.
    """

    def __init__(self, choice: OutputChoice, image: InputImage, pixels: np.ndarray) -> None:
        self._choice, self._pixels, self._files = choice, pixels, choice.files(image)
        self._tags = georeference(image.path)
        self._project = to_longitude_latitude(image.path) if choice.has_polygons and self._tags else None
        self._ids = np.zeros(pixels.shape[:2], dtype=np.uint8)
        self._classes = 0
        self._probability: np.ndarray = np.empty(0)

    def add(self, top: int, probability: np.ndarray) -> None:
        """Add the rows from `top` on: (n, W), or (K, n, W) for several classes; float32 in 0..1."""
        rows = slice(top, top + probability.shape[-2])
        self._ids[rows] = decide(probability, self._choice.threshold)
        self._classes = len(probability) if probability.ndim == 3 else 1
        if kind := self._choice.probability:
            if not self._probability.size:
                self._probability = self._on_disk((*probability.shape[:-2], *self._ids.shape), np.dtype(kind))
            scaled = probability if kind == "float32" else np.rint(probability * np.float32(_ONE[kind]))
            self._probability[..., rows, :] = scaled

    def write(self) -> float:
        """Write the files, and return the share of the image that is not background.

        The mask comes last, so that where it is, all is.
        """
        files, several = self._files, self._classes > 1
        if "overlay" in files:
            _save_png(overlay_picture(self._pixels, self._ids, several), files["overlay"])
        if "probability" in files:
            _save_tiff(self._probability, files["probability"], self._tags)
        if "polygons" in files:
            write_json(files["polygons"], geojson(self._ids, self._choice.classes, self._project), indent=None)
        if files["mask"].suffix == ".png":
            _save_png(mask_picture(self._ids, several), files["mask"])
        else:
            values = self._ids if several else self._ids * np.uint8(255)
            _save_tiff(values, files["mask"], self._tags, has_palette=several)
        return float(np.count_nonzero(self._ids) / self._ids.size)

    def _on_disk(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        # Several classes of a large image may be more than fits into memory; the file vanishes with the array.
        self._choice.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._choice.folder) as file:
            return np.memmap(file, dtype=dtype, shape=shape)


def mask_picture(ids: np.ndarray, several: bool) -> Image.Image:
    """Return a mask as a picture: 0 and 255, or class ids with a palette."""
    if not several:
        return Image.fromarray(ids * np.uint8(255))
    picture = Image.fromarray(ids)
    picture.putpalette(CLASS_PALETTE.tobytes())
    return picture


def find_mask(folder: Path, name: str) -> Path:
    """Return the mask of an image, which is a TIFF if the image is a GeoTIFF."""
    tiff = folder / f"{name}_mask.tif"
    return tiff if tiff.is_file() else folder / f"{name}_mask.png"


def read_ids(mask: Path) -> np.ndarray:
    """Return the class ids (H, W) uint8 of a mask that this project wrote; masks of one class say 255 for 1."""
    if mask.suffix == ".tif":
        with tifffile.TiffFile(mask) as file:
            values, has_palette = file.asarray(), file.pages.first.photometric == tifffile.PHOTOMETRIC.PALETTE
    else:
        with Image.open(mask) as picture:
            values, has_palette = np.asarray(picture), picture.mode == "P"
    return values if has_palette else (values > 0).astype(np.uint8)


def overlay_picture(pixels: np.ndarray, ids: np.ndarray, several: bool) -> Image.Image:
    """Return pixels (H, W, 3) uint8 with the colour of its class over everything that is not background."""
    tinted = np.empty_like(pixels)
    for top in range(0, len(pixels), _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        colours = CLASS_PALETTE[ids[rows]] if several else np.array(PREDICTION_COLOUR)
        mixed = (1 - _TINT) * pixels[rows] + _TINT * colours
        tinted[rows] = np.where(ids[rows, :, None] > 0, mixed, pixels[rows]).astype(np.uint8)
    return Image.fromarray(tinted)


def _save_png(picture: Image.Image, path: Path) -> None:
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG")


def _save_tiff(values: np.ndarray, path: Path, tags: Tags, has_palette: bool = False) -> None:
    layout: dict[str, Any] = {"photometric": "minisblack"}
    if has_palette:
        # TIFF colours have 16 bits: 257 * 255 = 65535.
        layout = {"photometric": "palette", "colormap": CLASS_PALETTE.T.astype(np.uint16) * 257}
    if values.ndim == 3:
        # Each class is a plane, which GIS programs call a band.
        layout["planarconfig"] = "separate"
    with atomic_file(path) as temporary:
        tifffile.imwrite(temporary, values, compression="zlib", metadata=None, extratags=tags, **layout)
