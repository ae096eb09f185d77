"""Fit the encoder's neck to answer behind merged blocks as it did behind the unmerged ones."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from naslora_core.merge.fitting.moments import input_of
from naslora_core.merge.fitting.passes import Passes
from naslora_core.merge.fitting.patches import PatchMoments
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import PromptFreeSegmenter


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
        moments = _moments_of(layer)
        for own_input, other_input in zip(of_merged.inputs_of(own[0]), of_adapted.inputs_of(other[0]), strict=True):
            moments.add_images(own[:place](own_input), other[: place + 1](other_input))
        layer.weight.copy_(moments.fit(layer.weight.double().flatten(1), ridge).view_as(layer.weight))


def _refit_pyramid(merged: Sam, adapted: Sam, batches: Iterable[Tensor], ridge: float, precision: str) -> None:
    models = PromptFreeSegmenter(merged), PromptFreeSegmenter(adapted)
    for name, layer in merged.image_encoder.neck.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        other = adapted.image_encoder.neck.get_submodule(name)
        moments = _moments_of(layer)
        for images in batches:
            own_input, other_input = (
                input_of(conv, model, images, precision) for conv, model in zip((layer, other), models, strict=True)
            )
            shift = 0 if layer.bias is None else layer.bias[:, None, None]
            # Image by image: the finest level of all of them in float64 is larger than anything else.
            for x, wanted in zip(own_input.split(1), other(other_input).split(1), strict=True):
                moments.add_images(x, wanted - shift)
        layer.weight.copy_(moments.fit(layer.weight.double().flatten(1), ridge).view_as(layer.weight))


def _moments_of(layer: nn.Conv2d) -> PatchMoments:
    # A neck has stride 1 and padding that keeps the size.
    return PatchMoments(layer.in_channels, layer.kernel_size[0], layer.out_channels, layer.weight.device)
