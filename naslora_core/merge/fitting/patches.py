"""Second moments of the patches that a convolution sees, without the patches."""

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from naslora_core.merge.fitting.moments import Moments


class PatchMoments(Moments):
    """Moments of the inputs of a convolution that keeps the size, with its outputs.

    Two pixels of a patch that lie a step apart are two pixels of the image that do, and nearly every pair of these is
    in a patch at that place. So what pixels have with those a step further is summed once for all places with that
    step: of 3 x 3 pixels 13 products instead of 45. Of what is too much by that, patches whose middle lies outside of
    the image, there are few.

    Args:
        channels: of the images.
        kernel: side of the patches, odd.
        outputs: channels of the convolution.
        device: where the images are.
    """

    def __init__(self, channels: int, kernel: int, outputs: int, device: torch.device) -> None:
        super().__init__(channels * kernel**2, outputs, device)
        self._kernel = kernel
        self._places = list(product(range(kernel), repeat=2))
        steps = {(below - row, right - column) for row, column in self._places for below, right in self._places}
        empty = torch.zeros(channels, channels, dtype=torch.float64, device=device)
        # The others are these, transposed.
        self._by_step = {step: empty.clone() for step in steps if step >= (0, 0)}

    def add_images(self, images: Tensor, outputs: Tensor) -> None:
        """Add images (B, C, H, W) and what a convolution gives for them, (B, R, H, W), to the sums."""
        reach = self._kernel // 2
        margins = (reach,) * 4
        pixels, wanted = (F.pad(x.double(), margins) for x in (images, outputs))
        width = pixels.shape[-1]
        self._add_outside(F.pad(pixels, margins))
        # One long row: there are margins of twice the reach between rows, and between images.
        flat, targets = (x.permute(0, 2, 3, 1).flatten(0, 2) for x in (pixels, wanted))
        self.tokens += outputs[:, 0].numel()
        self.tt += targets.t() @ targets
        for (down, right), sums in self._by_step.items():
            sums += _product(flat, flat, down * width + right)
        tx = self.tx.unflatten(1, (-1, len(self._places)))
        for place, (row, column) in enumerate(self._places):
            tx[:, :, place] += _product(targets, flat, (row - reach) * width + column - reach)

    def _add_outside(self, framed: Tensor) -> None:
        """Subtract the patches whose middle is outside; of images (B, C, h, w) with twice the reach as margin."""
        reach = self._kernel // 2
        windows = framed.unfold(2, self._kernel, 1).unfold(3, self._kernel, 1)
        is_outside = torch.ones(windows.shape[2:4], dtype=torch.bool, device=framed.device)
        is_outside[reach : len(is_outside) - reach, reach : is_outside.shape[1] - reach] = False
        self.add_products(windows.permute(0, 2, 3, 1, 4, 5)[:, is_outside].flatten(2).flatten(0, 1), sign=-1)

    @property
    def xx(self) -> Tensor:
        """The sums of x x', (C * k * k, C * k * k), in the order of a flattened weight."""
        whole, count = super().xx, len(self._places)
        by_place = whole.view(-1, count, len(whole) // count, count)
        for one, (row, column) in enumerate(self._places):
            for other, (below, right) in enumerate(self._places):
                step = below - row, right - column
                known = self._by_step.get(step)
                by_place[:, one, :, other] += self._by_step[-step[0], -step[1]].t() if known is None else known
        return whole


def _product(one: Tensor, other: Tensor, step: int) -> Tensor:
    """Return the sum over n of one[n] other[n + step]', of (N, A) and (N, B), as (A, B)."""
    if step < 0:
        return one[-step:].t() @ other[:step]
    return one[: len(one) - step].t() @ other[step:]
