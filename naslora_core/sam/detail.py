"""A detail path: the image's own edges and lines refine SAM's masks, at half or full resolution of the input."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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
        halves = F.pixel_unshuffle(images.to(features.dtype), 2).contiguous(memory_format=torch.channels_last)
        features = features.contiguous(memory_format=torch.channels_last)
        of_image = self.image(halves)
        joined = self.join((self.coarse(of_image), features))
        joined = F.interpolate(joined, scale_factor=2, mode="bilinear", align_corners=False)
        fine = self._products(self.fine((of_image, joined)), kernels)
        coarse = products(features, kernels)
        return F.interpolate(coarse, scale_factor=2 * self.per_axis, mode="bilinear", align_corners=False) + fine

    def _products(self, fine: Tensor, kernels: Tensor) -> Tensor:
        """Return the products of vectors (B, T, C) with what `out` makes of (B, width, h, w), pixels from channels.

        The vectors go through `out` instead of the places: there are few of them, and no features of C channels for
        every place are made.
        """
        weight, bias = self.out.weight.flatten(1), self.out.get_parameter("bias")
        rows = kernels.shape[1] * self.per_axis**2
        through = torch.einsum("btc,cpw->btpw", kernels, weight.unflatten(0, (kernels.shape[-1], -1)))
        shift = torch.einsum("btc,cp->btp", kernels, bias.unflatten(0, (kernels.shape[-1], -1)))
        own = products(fine, through.flatten(1, 2)) + shift.reshape(-1, rows, 1, 1)
        return F.pixel_shuffle(own, self.per_axis)


def products(features: Tensor, kernels: Tensor) -> Tensor:
    """Return the product of every place of (B, C, h, w) with each vector of (B, T, C), as (B, T, h, w).

    As one of matrices whose rows are places, so that features whose channels lie together stay so, as do their
    gradients: on a CPU what follows a tensor of the other order takes up to twenty times as long.
    """
    places = features.permute(0, 2, 3, 1).flatten(1, 2)
    return (places @ kernels.transpose(1, 2).to(places.dtype)).transpose(1, 2).unflatten(2, features.shape[2:])


class _Convolution(nn.Conv2d):
    """A convolution of features, or of several side by side, (B, C1, h, w) and (B, C2, h, w), as a sum over them.

    Neither they nor the parts of their gradient are copied.
    """

    def forward(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        if isinstance(features, Tensor):
            return super().forward(features)
        weights = self.weight.split([part.shape[1] for part in features], dim=1)
        result = self._conv_forward(features[0], weights[0], self.bias)
        for part, weight in zip(features[1:], weights[1:], strict=True):
            result = result + self._conv_forward(part, weight, None)
        return result


class _InstanceNorm(nn.InstanceNorm2d):
    """Instance norm in half the time on a CPU: torch's own reorders channels that lie together."""

    def forward(self, x: Tensor) -> Tensor:
        # An exported program is of any number of images, of which none can be taken out.
        if x.device.type != "cpu" or torch.compiler.is_exporting():
            return super().forward(x)
        # The batch norm of a single image.
        norm = partial(F.batch_norm, running_mean=None, running_var=None, training=True, eps=self.eps)
        return torch.cat([norm(image, weight=self.weight, bias=self.bias) for image in x.split(1)])


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_Convolution(inputs, outputs, 3, stride, 1), nn.GELU())


def _normalised(inputs: int, outputs: int) -> nn.Sequential:
    # Where something new comes in: without, the same steps teach less, see docs/method.md. Elsewhere it gained nothing
    # that its time was worth.
    return nn.Sequential(_Convolution(inputs, outputs, 3, 1, 1), _InstanceNorm(outputs, affine=True), nn.GELU())


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
