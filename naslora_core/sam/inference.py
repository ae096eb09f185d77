"""How a trained model is used: predictions of flipped images averaged, and by how much parts of images overlap."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from naslora_core.config import Flips

# Of neighbouring parts; a share of their side.
OVERLAP = 0.0625
# The axes of an image (H, W, 3) that are reversed for each of the predictions that are averaged; from the fewest on,
# each the beginning of the next.
FLIPPED_AXES: dict[Flips, tuple[tuple[int, ...], ...]] = {
    "none": ((),),
    "horizontal": ((), (1,)),
    "all": ((), (1,), (0,), (0, 1)),
}


@dataclass(frozen=True)
class Inference:
    """What may be chosen about a model after its training, at the cost of time.

    Attributes:
        flips: whose mask logits are averaged with those of the image as it is: "none", the "horizontal" flip, or
            "all" three.
        overlap: of the parts in which a model that was trained on crops sees an image, a share of their side, 0..0.5.
    """

    flips: Flips = "none"
    overlap: float = OVERLAP


PLAIN = Inference()


def mean_over_flips(
    logits_of: Callable[[Sequence[np.ndarray]], list[np.ndarray]], images: Sequence[np.ndarray], flips: Flips
) -> list[np.ndarray]:
    """Return the mean of the logits that a model gives for images and their flips, each flipped back.

    Args:
        logits_of: maps images (H, W, 3) to logits (K, H, W) float32.
        images: each (H, W, 3) uint8.
        flips: as in `Inference`; "none" returns what `logits_of` returns, bit for bit.
    """
    return next(found for name, found in means_over_flips(logits_of, images) if name == flips)


def means_over_flips(
    logits_of: Callable[[Sequence[np.ndarray]], list[np.ndarray]], images: Sequence[np.ndarray]
) -> Iterator[tuple[Flips, list[np.ndarray]]]:
    """Yield what `mean_over_flips` returns for all `FLIPPED_AXES`, from the fewest flips on.

    Each mean begins with the sum of the one before, so that every flip is predicted once, and when it is asked for.
    """
    sums, done = logits_of(images), 1
    for flips, all_axes in FLIPPED_AXES.items():
        for axes in all_axes[done:]:
            flipped = logits_of([np.ascontiguousarray(np.flip(image, axes)) for image in images])
            # Counted from the end, an image's axes lie one further than those of its logits.
            back = tuple(axis - 2 for axis in axes)
            sums = [sum_ + np.flip(logits, back) for sum_, logits in zip(sums, flipped, strict=True)]
        done = len(all_axes)
        yield flips, [sum_ / np.float32(done) for sum_ in sums] if done > 1 else sums
