"""Sizes and classes of a merged model's training images, as model.json holds them."""

from pathlib import Path
from statistics import median_low
from typing import Any

from pydantic import PositiveInt

from naslora_core.config import Section
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import CheckpointError
from naslora_core.merge.merged import CONFIG_FILE, read_merged_notes
from naslora_core.reading import validate

# Twice as large as any image of the training, an object is half as large to SAM as the model has ever seen it.
_TOO_LARGE = 2


class TrainingImages(Section):
    """Facts on the training images of a model.

    Attributes:
        median_side_px: of their longer sides.
        largest_side_px: the longest of these.
        classes: names of the class ids from 1 on.
        image: how stored values became grey levels, see `ImageReading`; None for plain images of 8 bits.
    """

    median_side_px: PositiveInt
    largest_side_px: PositiveInt
    classes: tuple[str, ...]
    image: dict[str, Any] | None = None

    def tile_side(self, shape: tuple[int, int]) -> int | None:
        """Return the side of the tiles in which an image should be predicted; None means without tiles.

        SAM shrinks an image to a square of fixed size. One whose longer side is more than twice that of any
        training image is cut into tiles as large as the training images typically were, so that an object is as
        large to SAM as it was in training. That is right if a pixel shows as much of the world as it did there, as
        in a wider photograph or a map, and wrong if the camera is merely a finer one.
        """
        return self.median_side_px if max(shape) > _TOO_LARGE * self.largest_side_px else None


def describe_training(images: PreparedData) -> dict[str, Any]:
    """Return the facts on the training images that model.json holds under origin."""
    sides = [max(size) for size in images.original_sizes]
    about = TrainingImages(
        median_side_px=median_low(sides), largest_side_px=max(sides), classes=images.classes, image=images.reading
    )
    return {"training_images": about.model_dump(mode="json", exclude_none=True)}


def read_training(folder: Path) -> TrainingImages | None:
    """Return the facts on the training images in a folder's model.json; None for merges that did not store them.

    Raises:
        CheckpointError: if it cannot be read, or holds other facts.
    """
    origin = read_merged_notes(folder).origin
    if "training_images" not in origin:
        return None
    return validate(
        origin["training_images"], TrainingImages, folder / CONFIG_FILE, "merge again: run stage merge", CheckpointError
    )


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of a merged model's class ids from 1 on; default names where model.json has none."""
    if (training := read_training(folder)) is not None:
        return training.classes
    count = read_merged_notes(folder).classes
    return ("foreground",) if count == 1 else tuple(f"class_{number}" for number in range(1, count + 1))


def stored_reading(folder: Path) -> dict[str, Any] | None:
    """Return how a merged model's training images were read, for `parse_reading`; None for plain images of 8 bits."""
    training = read_training(folder)
    return None if training is None else training.image
