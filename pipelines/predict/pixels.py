"""Read an image as a model's training images were read."""

from pathlib import Path

import numpy as np

from naslora_core.data.dataset.image_files.facts import read_facts
from naslora_core.data.dataset.image_files.geotiff import georeference, read_geotiff
from naslora_core.data.dataset.image_files.images import ReadingMissingError, read_image
from naslora_core.data.dataset.image_files.reading import ImageReading
from naslora_core.errors import DataError


def read_for_model(path: Path, reading: ImageReading | None, content: bytes | None = None) -> np.ndarray:
    """Return an image as RGB, (H, W, 3) uint8, as the training images of a model were read.

    Args:
        path: the file.
        reading: of the model; None if it was trained on plain images of 8 bits.
        content: what is in the file, if it is in memory; then `path` is but its name in errors.

    Raises:
        DataError: if it cannot be read, or is of another kind than the training images.
    """
    try:
        if content is None and georeference(path):
            return read_geotiff(path, reading)
        return read_image(path, reading, content)
    except ReadingMissingError as error:
        raise DataError(
            f"{path} has {read_facts(path, content)}, and the model was trained on images of 8 bits a channel, in grey "
            "or colours; convert it to 8 bits as the training images were, or train on images like it (see image in "
            "dataset.yaml)"
        ) from error
