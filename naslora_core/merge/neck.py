"""The last part of merge `calibrated`: let the encoder's neck make up for what its blocks have lost.

The neck's two convolutions follow all adapted layers and are part of every SAM. Fitted to give what they gave
behind the unmerged blocks, they recover some of the neighbourhood that a matrix a token cannot see, for nothing.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.merge.moments import Moments, input_of
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import PromptFreeSegmenter

NECK = "image_encoder.neck"


@torch.no_grad()
def refit_neck(merged: Sam, adapted: Sam, batches: Iterable[Tensor], ridge: float) -> None:
    """Fit the neck's convolutions, one after the other and in place, so that they answer as in `adapted`.

    Args:
        merged: the model whose blocks are merged already.
        adapted: the model it came from.
        batches: images, each (B, 3, S, S) uint8; gone through once for each convolution.
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
    """Return what each output pixel is made of, (B, H, W, C * k * k), in the order of the flattened weight."""
    height, width = x.shape[-2:]
    # The neck has no bias, stride 1 and padding that keeps the size.
    size = (convolution.kernel_size[0], convolution.kernel_size[1])
    columns = F.unfold(x, size, padding=(size[0] // 2, size[1] // 2))
    return columns.transpose(1, 2).unflatten(1, (height, width))
