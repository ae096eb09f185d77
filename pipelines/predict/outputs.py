"""Write the output files of a prediction, each atomically: mask, overlay, probability, polygons."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from naslora_core.data.dataset.image_files.geotiff import georeference, to_longitude_latitude
from naslora_core.evaluation.segmented import decide
from naslora_core.files import write_json
from naslora_core.geometry.polygons import geojson
from naslora_core.pictures.overlays import PREDICTION_COLOUR
from pipelines.predict.inputs import InputImage
from pipelines.predict.mask_files import CLASS_PALETTE, save_mask, save_png, save_probability
from pipelines.predict.scores import ScoreSum

_TINT = 0.45
# As large as float64 colours of this many rows of a very large image may be.
_ROWS_AT_ONCE = 32
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
        has_palette: whether masks of several classes show these in colours, see `mask_picture`.
        has_coco: the run ends with one COCO file, which needs the scores of all images.
    """

    folder: Path
    threshold: float
    classes: tuple[str, ...]
    overlay: bool = True
    probability: str | None = None
    has_polygons: bool = False
    has_palette: bool = True
    has_coco: bool = False

    def files(self, image: InputImage) -> dict[str, Path]:
        """Return the files that an image will have, by kind, the mask first."""
        suffixes = {"mask": "mask.tif" if georeference(image.path) else "mask.png"}
        suffixes |= {"overlay": "overlay.png"} if self.overlay else {}
        suffixes |= {"probability": "probability.tif"} if self.probability else {}
        suffixes |= {"polygons": "polygons.geojson"} if self.has_polygons else {}
        return {kind: self.folder / f"{image.name}_{suffix}" for kind, suffix in suffixes.items()}


class Written(NamedTuple):
    """What was found in an image: the share of its pixels that are not background, and the score of each class."""

    foreground_share: float
    scores: dict[int, float]


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
        self._choice, self._image, self._pixels, self._files = choice, image, pixels, choice.files(image)
        self._tags = georeference(image.path)
        self._project = to_longitude_latitude(image.path) if choice.has_polygons and self._tags else None
        self._ids = np.zeros(pixels.shape[:2], dtype=np.uint8)
        self._classes, self._scores = 0, ScoreSum()
        self._probability: np.ndarray = np.empty(0)

    def add(self, top: int, probability: np.ndarray) -> None:
        """Add the rows from `top` on: (n, W), or (K, n, W) for several classes; float32 in 0..1."""
        rows = slice(top, top + probability.shape[-2])
        self._ids[rows] = decide(probability, self._choice.threshold)
        self._scores.add(probability, self._ids[rows])
        self._classes = len(probability) if probability.ndim == 3 else 1
        if kind := self._choice.probability:
            if not self._probability.size:
                self._probability = self._on_disk((*probability.shape[:-2], *self._ids.shape), np.dtype(kind))
            scaled = probability if kind == "float32" else np.rint(probability * np.float32(_ONE[kind]))
            self._probability[..., rows, :] = scaled

    def write(self) -> Written:
        """Write the files, the mask last, so that where it is, all is."""
        files, several = self._files, self._classes > 1
        if "overlay" in files:
            save_png(overlay_picture(self._pixels, self._ids, several), files["overlay"])
        if "probability" in files:
            save_probability(self._probability, files["probability"], self._tags)
        if "polygons" in files:
            about = {"file_name": self._image.file_name}
            write_json(files["polygons"], geojson(self._ids, self._choice.classes, self._project, about), indent=None)
        save_mask(self._ids, files["mask"], several, self._choice.has_palette, self._tags)
        return Written(float(np.count_nonzero(self._ids) / self._ids.size), self._scores.means())

    def _on_disk(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        # Several classes of a large image may be more than fits into memory; the file vanishes with the array.
        self._choice.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._choice.folder) as file:
            return np.memmap(file, dtype=dtype, shape=shape)


def overlay_picture(pixels: np.ndarray, ids: np.ndarray, several: bool) -> Image.Image:
    """Return pixels (H, W, 3) uint8 with the colour of its class over everything that is not background."""
    # Into the picture at once: all rows as an array and as a picture would be twice the memory.
    picture = Image.new("RGB", (pixels.shape[1], pixels.shape[0]))
    for top in range(0, len(pixels), _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        colours = CLASS_PALETTE[ids[rows]] if several else np.array(PREDICTION_COLOUR)
        mixed = (1 - _TINT) * pixels[rows] + _TINT * colours
        tinted = np.where(ids[rows, :, None] > 0, mixed, pixels[rows]).astype(np.uint8)
        picture.paste(Image.fromarray(tinted), (0, top))
    return picture
