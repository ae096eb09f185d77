"""Count the multiplications of an encoder of any architecture, without running it."""

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode


def count_multiplications(encoder: nn.Module, image_size: int) -> float:
    """Return the multiplications of linear layers, convolutions and attention for one image.

    Args:
        encoder: of images (1, 3, S, S).
        image_size: S, in pixels.
    """
    shapes = {name: value.to("meta") for name, value in [*encoder.named_parameters(), *encoder.named_buffers()]}
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        functional_call(encoder, shapes, (torch.empty(1, 3, image_size, image_size, device="meta"),))
    # A multiplication and an addition count as two operations.
    return counter.get_total_flops() / 2
