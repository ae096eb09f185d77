"""What an architecture costs at inference after merging, over the base: an estimate that is the same on every machine.

Arithmetic alone would call every branch free: on eight channels it is a hundredth of the layer's own. What counts is
that narrow products use a processor badly, and that each call of one takes a time of its own. Both are constants here,
fitted once to measurements (docs/method.md, "What a choice costs"); nothing is measured while a search runs, so that it
finds the same anywhere.
"""

from dataclasses import dataclass

from torch import nn

from naslora_core.ops import OPS, LinearPrimitive, PointwisePrimitive
from naslora_core.ops.frequency import WAVES

# How many times slower a multiplication is in a product of `rank` channels than in one of the layer's own.
NARROW = 4.0
# The calls of a spatial branch, in multiplications of the layer's own products.
CALLS = 8e6


@dataclass(frozen=True)
class InferenceCost:
    """Estimates inference time after merging, for an image encoder at its own image size.

    Args:
        base: multiplications of the encoder for an image.
        tokens: of an image, in the grid that the blocks see.
    """

    base: float
    tokens: int

    @classmethod
    def of(cls, encoder: nn.Module) -> "InferenceCost":
        """Count an image encoder's multiplications: linear layers, attention and neck."""
        side = grid_side(encoder)
        tokens, base = side**2, 0.0
        for name, layer in encoder.named_modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                base += tokens * layer.weight.numel()
            elif name.startswith("blocks.") and name.count(".") == 1:
                window = int(getattr(layer, "window_size", 0)) or side
                base += 2 * tokens * window**2 * encoder.get_parameter(f"{name}.norm1.weight").numel()
        return cls(base, tokens)

    def added(self, operation: str, rank: int, in_features: int, out_features: int) -> float:
        """Return by what share of the base's time a layer is slower.

        Args:
            operation: of the layer; one that merges into the weight is free.
            rank: 0 is no branch.
            in_features: channels of the layer's input.
            out_features: of its outputs that have a rank.
        """
        if rank == 0 or is_exact(operation):
            return 0.0
        products = self.tokens * rank * (in_features + out_features + multiplications(operation, rank))
        return (NARROW * products + CALLS) / self.base


def grid_side(encoder: nn.Module) -> int:
    """Return the side of an image's grid in tokens, of SAM's image encoder."""
    patches = encoder.get_submodule("patch_embed.proj")
    assert isinstance(patches, nn.Conv2d)
    size: int = vars(encoder)["img_size"]
    return size // patches.kernel_size[0]


def is_exact(operation: str) -> bool:
    """Return whether an operation becomes part of a layer's weight: pointwise ones, and scaled singular values."""
    return operation == "singular_values" or isinstance(OPS[operation](1), PointwisePrimitive)


def multiplications(operation: str, rank: int) -> int:
    """Return the multiplications of an operation for a channel of a token."""
    example = OPS[operation](rank)
    if isinstance(example, LinearPrimitive):
        return example.taps().shape[-1] ** 2 * rank
    return 4 * WAVES if operation == "dct_filter" else 9 * rank
