"""Named search spaces: which operations a cell may choose from."""

from collections.abc import Sequence

from naslora_core.errors import ConfigError
from naslora_core.ops.base import OPS

# `choices` is for a search under a budget, where every layer ends with one of them. `darts` are the eight primitives
# of DARTS (arXiv:1806.09055). `paper` is ours to choose: NAS-LoRA's abstract names kinds of operations, its list could
# not be read.
SPACES: dict[str, tuple[str, ...]] = {
    "linear": (
        "none",
        "skip_connect",
        "conv_1x1",
        "conv_3x3",
        "conv_5x5",
        "dw_conv_3x3",
        "dil_conv_3x3",
        "avg_pool_3x3",
    ),
    "choices": ("skip_connect", "image_dw_conv_3x3", "image_conv_3x3", "image_conv_5x5"),
    "darts": (
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ),
    "paper": (
        "none",
        "skip_connect",
        "avg_pool_3x3",
        "max_pool_3x3",
        "conv_3x3",
        "conv_5x5",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ),
}


def resolve_space(space: str | Sequence[str]) -> tuple[str, ...]:
    """Return the operations of a named space, or check a list of operations.

    Raises:
        ConfigError: if the space or an operation is unknown, the list is empty or names one twice.
    """
    if isinstance(space, str):
        if space not in SPACES:
            raise ConfigError(
                f"search.space '{space}' is unknown; use {', '.join(SPACES)}, or a list of: {', '.join(OPS)}"
            )
        return SPACES[space]
    if not space or len(set(space)) != len(space):
        raise ConfigError(f"search.space {list(space)} must name at least one operation, and each only once")
    unknown = [name for name in space if name not in OPS]
    if unknown:
        raise ConfigError(f"search.space names unknown operations {unknown}; known: {', '.join(OPS)}")
    return tuple(space)
