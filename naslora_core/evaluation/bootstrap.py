"""Bootstrap confidence intervals of means over images."""

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000
_BLOCK = 500


def bootstrap_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the percentile interval of the mean, by drawing images with replacement.

    The same seed draws the same images, so intervals of models scored on the same images are comparable.

    Args:
        values: (N,), one per image; a single image gives an interval of no width.
        seed: of the random draws.

    Returns:
        Lower and upper end of the 95 % interval.
    """
    low, high = bootstrap_intervals(values[None], seed)[0]
    return float(low), float(high)


def bootstrap_intervals(values: np.ndarray, seed: int) -> np.ndarray:
    """Return the intervals of several metrics (M, N) as (M, 2); see `bootstrap_interval`.

    All metrics of a draw are those of the same images, which are drawn only once: that takes longest.
    """
    generator = np.random.default_rng(seed)
    images = values.shape[1]
    resampled = np.empty((len(values), RESAMPLES))
    # In blocks: all draws at once would take gigabytes for ten thousand images.
    for start in range(0, RESAMPLES, _BLOCK):
        draws = generator.integers(0, images, size=(_BLOCK, images)) + images * np.arange(_BLOCK)[:, None]
        # How often each image is drawn, by which one product sums all metrics: half the time of looking every value up.
        times = np.bincount(draws.ravel(), minlength=draws.size).reshape(draws.shape)
        resampled[:, start : start + _BLOCK] = values @ times.T / images
    tail = 50 * (1 - CONFIDENCE)
    return np.percentile(resampled, [tail, 100 - tail], axis=1).T
