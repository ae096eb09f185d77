"""Predict an uploaded image, and build the body of the response."""

import base64
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from naslora_core.data.dataset.image_files.reading import ImageReading
from naslora_core.errors import DataError
from naslora_core.evaluation.segmented import decide
from naslora_core.pictures.overlays import PREDICTION_COLOUR, class_colour, css
from naslora_core.predict import Predictor
from pipelines.json_document import to_json
from pipelines.predict.mask_files import mask_picture
from pipelines.predict.outputs import overlay_picture
from pipelines.predict.pixels import read_for_model
from pipelines.predict.scores import ScoreSum
from pipelines.serve.refusal import Refusal


@dataclass(frozen=True)
class Prediction:
    """A model's prediction of an uploaded image.

    Attributes:
        model: its name.
        image: (H, W, 3) uint8 RGB.
        probability: (H, W), or (K, H, W) for several classes.
        threshold: see `decide`.
        seconds: that decoding and predicting took.
        precision: in which the model computed, "float32" or "bf16".
        has_palette: see `mask_picture`.
    """

    model: str
    image: np.ndarray
    probability: np.ndarray
    threshold: float
    seconds: float
    precision: str
    has_palette: bool = True

    @property
    def has_classes(self) -> bool:
        """Whether there is more than one class."""
        return self.probability.ndim == 3

    def ids(self) -> np.ndarray:
        """Return the class of every pixel, (H, W) uint8."""
        return decide(self.probability, self.threshold)


@dataclass(frozen=True)
class Answer:
    """The body of a response, and its media type."""

    content: bytes
    media_type: str


def predict_upload(
    predictor: Predictor,
    data: bytes,
    model: str,
    threshold: float,
    has_palette: bool,
    reading: ImageReading | None = None,
) -> Prediction:
    """Decode an image as the model's training images were, and predict it.

    Raises:
        Refusal: 415 if the bytes are no image of a known format, 400 if it is broken, of too many pixels, or of another
            kind than the training images.
    """
    started = time.perf_counter()
    name = Path("the image")
    try:
        image = read_for_model(name, reading, data)
    except DataError as error:
        raise Refusal(415 if isinstance(error.__cause__, UnidentifiedImageError) else 400, str(error)) from error
    probability = predictor([image])[0]
    seconds = time.perf_counter() - started
    return Prediction(model, image, probability, threshold, seconds, predictor.precision, has_palette)


def _mask(prediction: Prediction) -> Answer:
    return _png(mask_picture(prediction.ids(), prediction.has_classes, prediction.has_palette))


def _overlay(prediction: Prediction) -> Answer:
    return _png(overlay_picture(prediction.image, prediction.ids(), prediction.has_classes))


def _probability(prediction: Prediction) -> Answer:
    buffer = io.BytesIO()
    np.save(buffer, prediction.probability, allow_pickle=False)
    return Answer(buffer.getvalue(), "application/x-npy")


def _json(prediction: Prediction) -> Answer:
    ids = prediction.ids()
    height, width = ids.shape
    several = prediction.has_classes
    areas_px = np.bincount(ids.ravel(), minlength=256)
    scores = ScoreSum()
    scores.add(prediction.probability, ids)
    means = scores.means()
    numbers = range(1, len(prediction.probability) + 1 if several else 2)
    mask = base64.b64encode(_mask(prediction).content).decode("ascii")
    content = {
        "model": prediction.model,
        "width": width,
        "height": height,
        "threshold": None if several else prediction.threshold,
        "precision": prediction.precision,
        "seconds": round(prediction.seconds, 3),
        "classes": [
            {
                "id": number,
                "share": round(float(areas_px[number] / ids.size), 6),
                "area_px": int(areas_px[number]),
                "score": means.get(number),
                "colour": css(class_colour(number) if several else PREDICTION_COLOUR),
            }
            for number in numbers
        ],
        "mask": f"data:image/png;base64,{mask}",
    }
    return Answer(to_json(content).encode(), "application/json")


def _png(picture: Image.Image) -> Answer:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return Answer(buffer.getvalue(), "image/png")


OUTPUTS: dict[str, Callable[[Prediction], Answer]] = {
    "mask": _mask,
    "overlay": _overlay,
    "probability": _probability,
    "json": _json,
}
