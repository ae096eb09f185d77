"""Propose a reading for images from the values that they hold."""

import numpy as np

from naslora_core.data.dataset.image_files.facts import BITS_OF_PLAIN, ImageFacts
from naslora_core.data.dataset.image_files.reading import WHITE, ImageReading, ValueRange

# What a range is proposed from: the outermost values may be those of dead pixels or reflections.
PERCENTILES = (0.1, 99.9)
# So many values tell these percentiles well.
MOST_VALUES = 1 << 22


def usual_bands(facts: ImageFacts) -> tuple[int, ...]:
    """Return the first three bands of an image, or the first where there are fewer; of those that are no alpha."""
    return (1, 2, 3) if facts.shown_bands >= 3 else (1,)


def sample_values(stored: np.ndarray, bands: tuple[int, ...], most: int = MOST_VALUES) -> np.ndarray:
    """Return about `most` values of an image, evenly spread over it, without those that are not a number.

    Args:
        stored: (H, W, bands), see `read_bands`.
        bands: whose values count, numbered from 1.
        most: all values are returned where there are no more.

    Returns:
        (N,) float64.
    """
    step = max(1, int(np.ceil(np.sqrt(stored.shape[0] * stored.shape[1] * len(bands) / most))))
    found = stored[::step, ::step, [number - 1 for number in bands]].astype(np.float64).ravel()
    sample: np.ndarray = found[np.isfinite(found)]
    return sample


def propose(values: np.ndarray, facts: ImageFacts, bands: tuple[int, ...]) -> ImageReading:
    """Return a reading for images with these values: between two percentiles of them, and 0 to 255 for bytes.

    Args:
        values: (N,) of one or more images, see `sample_values`.
        facts: of one of them.
        bands: to show.
    """
    if facts.bits <= BITS_OF_PLAIN and facts.kind == "u":
        return ImageReading(bands=bands, range=ValueRange(low=0, high=WHITE))
    if not values.size:
        return ImageReading(bands=bands, range=ValueRange(percentiles=PERCENTILES))
    low, high = np.percentile(values, PERCENTILES).tolist()
    if low == high:
        low, high = float(values.min()), float(values.max())
    if facts.kind in "ui":
        low, high = int(np.floor(low)), int(np.ceil(high))
    else:
        low, high = float(f"{low:.4g}"), float(f"{high:.4g}")
    return ImageReading(bands=bands, range=ValueRange(low=low, high=high if high > low else low + 1))
