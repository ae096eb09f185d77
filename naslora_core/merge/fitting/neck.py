"""Fit the encoder's neck to answer behind merged blocks as it did behind the unmerged ones."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.merge.fitting.moments import Moments, input_of
from naslora_core.merge.fitting.passes import Passes
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import PromptFreeSegmenter

# Of a pyramid's level, that are summed in float64 at once.
_ROWS = 32


@torch.no_grad()
def refit_neck(
    merged: Sam,
    adapted: Sam,
    batches: Iterable[Tensor],
    ridge: float,
    precision: str = "fp32",
    passes: Passes | None = None,
) -> None:
    """Refit the neck's convolutions, one after the other and in place, to the outputs they have in `adapted`.

    Those of the feature pyramids of SAM 2 and SAM 3 are refitted too, level by level.

    Args:
        merged: the model whose blocks are merged already.
        adapted: the model it came from.
        batches: images, each (B, 3, S, S) uint8; iterated once for each convolution.
        ridge: keeps the weights near what they are, relative to the mean square of the inputs.
        precision: in which the models see the images, see `MergeContext`.
        passes: of the batches through `merged`, which go on where they are; None begins at the images.
    """
    own, other = merged.image_encoder.neck, adapted.image_encoder.neck
    if not isinstance(own, nn.Sequential):
        _refit_pyramid(merged, adapted, batches, ridge, precision)
        return
    of_merged = Passes(merged, batches, precision) if passes is None else passes
    of_adapted = Passes(adapted, batches, precision)
    for place, layer in enumerate(own):
        if not isinstance(layer, nn.Conv2d):
            continue
        moments = Moments(layer.weight[0].numel(), layer.out_channels, layer.weight.device)
        for own_input, other_input in zip(of_merged.inputs_of(own[0]), of_adapted.inputs_of(other[0]), strict=True):
            wanted = other[: place + 1](other_input)
            moments.add(_patches(layer, own[:place](own_input)), wanted.permute(0, 2, 3, 1))
        layer.weight.copy_(moments.fit(layer.weight.double().flatten(1), ridge).view_as(layer.weight))


def _refit_pyramid(merged: Sam, adapted: Sam, batches: Iterable[Tensor], ridge: float, precision: str) -> None:
    models = PromptFreeSegmenter(merged), PromptFreeSegmenter(adapted)
    for name, layer in merged.image_encoder.neck.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        other = adapted.image_encoder.neck.get_submodule(name)
        moments = Moments(layer.weight[0].numel(), layer.out_channels, layer.weight.device)
        for images in batches:
            own_input, other_input = (
                input_of(conv, model, images, precision) for conv, model in zip((layer, other), models, strict=True)
            )
            # Image by image: patches of the finest level are larger than all activations of an image.
            for x, wanted in zip(own_input.split(1), other(other_input).split(1), strict=True):
                targets = wanted.permute(0, 2, 3, 1) - (0 if layer.bias is None else layer.bias)
                for rows in zip(_patches(layer, x).split(_ROWS, 1), targets.split(_ROWS, 1), strict=True):
                    moments.add(*rows)
        layer.weight.copy_(moments.fit(layer.weight.double().flatten(1), ridge).view_as(layer.weight))


def _patches(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Return the input patch of each output pixel, (B, H, W, C * k * k), in the order of the flattened weight."""
    height, width = x.shape[-2:]
    # A neck has stride 1 and padding that keeps the size.
    size = (convolution.kernel_size[0], convolution.kernel_size[1])
    columns = F.unfold(x, size, padding=(size[0] // 2, size[1] // 2))
    return columns.transpose(1, 2).unflatten(1, (height, width))
