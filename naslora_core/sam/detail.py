"""A detail path: the image's own edges and lines refine SAM's masks, at half or full resolution of the input."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.sam.families.model import Sam

Detail = Literal["off", "half", "full"]
_PER_AXIS: dict[Detail, int] = {"half": 1, "full": 2}


class DetailPath(nn.Module):
    """Refines SAM's masks by a few convolutions of the image.

    SAM's masks are products of features, at a quarter of the input's resolution, with a vector for each mask. The
    path joins these features with those of the image, at a half, and adds the product of the vectors with what it
    makes of both, which starts at zero: fresh, it gives SAM's own masks, enlarged. As it gives features and not masks,
    it serves any number of classes. At full resolution every place has the features of its four pixels, so that all
    convolutions stay at a half.

    Args:
        channels: of the features.
        per_axis: masks' pixels for one of half the input's resolution, along an axis: 1, or 2 for full resolution.
        width: channels of its convolutions.

    Source: early features for fine masks as in SAM-HQ (arXiv:2306.01567) and SAM 2 (arXiv:2408.00714); pixels from
    channels as in arXiv:1609.05158.
    """

    def __init__(self, channels: int, per_axis: int, width: int = 16) -> None:
        super().__init__()
        self.per_axis = per_axis
        self.image = nn.Sequential(_normalised(12, width), _convolution(width, width))
        self.coarse = _convolution(width, 2 * width, stride=2)
        self.join = nn.Sequential(
            _normalised(2 * width + channels, 2 * width),
            _convolution(2 * width, 2 * width),
            nn.Conv2d(2 * width, width, 1),
        )
        self.fine = nn.Sequential(_normalised(2 * width, width), _convolution(width, width))
        self.out = nn.Conv2d(width, channels * per_axis**2, 1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)
        # In this order few channels are convolved faster, on a CPU by a fifth.
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, features: Tensor, kernels: Tensor) -> Tensor:
        """Return mask logits (B, T, S / 2, S / 2), or (B, T, S, S).

        Args:
            images: normalised, (B, 3, S, S).
            features: of SAM's last upsampling, (B, C, S / 4, S / 4).
            kernels: the vector of every mask, (B, T, C).
        """
        halves = F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)
        of_image = self.image(halves)
        joined = self.join(torch.cat([self.coarse(of_image), features], dim=1))
        joined = F.interpolate(joined, scale_factor=2, mode="bilinear", align_corners=False)
        own = self.out(self.fine(torch.cat([of_image, joined], dim=1)))
        fine = torch.einsum("btc,bcphw->btphw", kernels, own.unflatten(1, (kernels.shape[-1], -1)))
        fine = F.pixel_shuffle(fine, self.per_axis).squeeze(2)
        coarse = torch.einsum("btc,bchw->bthw", kernels, features)
        return F.interpolate(coarse, scale_factor=2 * self.per_axis, mode="bilinear", align_corners=False) + fine


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GELU())


def _normalised(inputs: int, outputs: int) -> nn.Sequential:
    # Where something new comes in: without, the same steps teach less, see docs/method.md. Elsewhere it gained nothing
    # that its time was worth.
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1), nn.InstanceNorm2d(outputs, affine=True), nn.GELU())


def add_detail_path(sam: Sam, detail: Detail, seed: int = 0) -> None:
    """Give the mask decoder a detail path, in place; "off" leaves it as it is."""
    if detail == "off":
        return
    # On the CPU, so that every device starts with the same weights; whoever loads a model keeps the random state.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        path = DetailPath(sam.mask_channels(), _PER_AXIS[detail])
    sam.mask_decoder.detail = path.to(sam.device)


def detail_of(sam: Sam) -> Detail:
    """Return the detail path that a model has."""
    path = getattr(sam.mask_decoder, "detail", None)
    if path is None:
        return "off"
    return "half" if path.per_axis == _PER_AXIS["half"] else "full"


@contextmanager
def without_detail(sam: Sam) -> Iterator[None]:
    """Use a model without its detail path inside a `with` block."""
    decoder, path = sam.mask_decoder, getattr(sam.mask_decoder, "detail", None)
    decoder.detail = None
    try:
        yield
    finally:
        decoder.detail = path
