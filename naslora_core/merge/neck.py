"""Fit the encoder's neck to answer behind merged blocks as it did behind the unmerged ones."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.merge.moments import Moments, input_of
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import PromptFreeSegmenter


@torch.no_grad()
def refit_neck(merged: Sam, adapted: Sam, batches: Iterable[Tensor], ridge: float) -> None:
    """Refit the neck's convolutions, one after the other and in place, to the outputs they have in `adapted`.

    Args:
        merged: the model whose blocks are merged already.
        adapted: the model it came from.
        batches: images, each (B, 3, S, S) uint8; iterated once for each convolution.
        ridge: keeps the weights near what they are, relative to the mean square of the inputs.
    """
    for own, other in zip(_convolutions(merged), _convolutions(adapted), strict=True):
        moments = Moments(own.weight[0].numel(), own.out_channels, own.weight.device)
        for images in batches:
            wanted = other(input_of(other, PromptFreeSegmenter(adapted), images))
            moments.add(_patches(own, input_of(own, PromptFreeSegmenter(merged), images)), wanted.permute(0, 2, 3, 1))
        own.weight.copy_(moments.fit(own.weight.double().flatten(1), ridge).view_as(own.weight))


def _convolutions(sam: Sam) -> list[nn.Conv2d]:
    return [layer for layer in sam.image_encoder.neck if isinstance(layer, nn.Conv2d)]


def _patches(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Return the input patch of each output pixel, (B, H, W, C * k * k), in the order of the flattened weight."""
    height, width = x.shape[-2:]
    # The neck has no bias, stride 1 and padding that keeps the size.
    size = (convolution.kernel_size[0], convolution.kernel_size[1])
    columns = F.unfold(x, size, padding=(size[0] // 2, size[1] // 2))
    return columns.transpose(1, 2).unflatten(1, (height, width))
