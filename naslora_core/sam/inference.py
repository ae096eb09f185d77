"""How a trained model is used: predictions of flipped images averaged, and by how much parts of images overlap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from naslora_core.config import Flips

# Of neighbouring parts; a share of their side.
OVERLAP = 0.0625
# The axes of an image (H, W, 3) that are reversed for each of the predictions that are averaged.
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
    found = logits_of(images)
    others = FLIPPED_AXES[flips][1:]
    for axes in others:
        flipped = logits_of([np.ascontiguousarray(np.flip(image, axes)) for image in images])
        # Counted from the end, an image's axes lie one further than those of its logits.
        back = tuple(axis - 2 for axis in axes)
        found = [sums + np.flip(logits, back) for sums, logits in zip(found, flipped, strict=True)]
    return [sums / np.float32(len(others) + 1) for sums in found] if others else found
