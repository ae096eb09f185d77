"""The base class of adapters (a frozen layer with trained parameters beside it), and the registry of methods."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from naslora_core.adapters.callback import TrainingCallback
from naslora_core.cell import EdgeKernels, MixedOp
from naslora_core.cell.kernels import as_matrix
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.errors import MergeError
from naslora_core.geometry.windows import PaddedGrid, Windows
from naslora_core.registry import Registry


class Adapter(nn.Module):
    """A frozen linear layer and what a method adds to it. Adapters hold their layer, they never subclass it.

    Args:
        base_layer: the layer to adapt, (..., in_features) to (..., out_features); shared with the base model.

    Attributes:
        callback: what its method does with all layers together; None where each is trained by itself.
    """

    callback: TrainingCallback | None = None

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features).

        SAM is channels-last here. In a windowed block B counts windows and (H, W) is the window grid, so a
        spatial operation never sees beyond its window.
        """
        raise TypeError(f"{type(self).__name__} must define forward()")

    def mixed_ops(self) -> dict[str, MixedOp]:
        """Return the searched mixtures of operations, by edge; empty where nothing is searched."""
        return {}

    def arch_parameters(self) -> list[nn.Parameter]:
        """Return the architecture parameters, which the search updates in steps of its own."""
        return []

    def take_penalty(self) -> Tensor | None:
        """Return and clear the penalty of the last training pass, to be added to the loss; None if there is none."""
        return None

    def delta_weight(self) -> Tensor:
        """Return the update a merge adds to the frozen weight, (out_features, in_features).

        Raises:
            MergeError: if what the adapter adds is no linear map of single tokens.
        """
        raise MergeError(f"{type(self).__name__} is no weight of a linear layer; use merge.mode calibrated")

    def delta_bias(self) -> Tensor | None:
        """Return the update a merge adds to the frozen bias, (out_features,); None where it adds none."""
        return None

    def own_state(self) -> dict[str, Tensor]:
        """Return the state dict without the base layer's tensors."""
        return {key: value for key, value in self.state_dict().items() if not key.startswith("base_layer.")}


def autocast_type(x: Tensor) -> torch.dtype | None:
    """Return the type that autocast computes products with a tensor in; None where it is off."""
    device = x.device.type
    # Nothing is computed on "meta", where costs are counted, and autocast does not know it.
    if device == "meta" or not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


class Update(NamedTuple):
    """A low-rank update, up branch(down x).

    Attributes:
        down: (rank, in_features).
        branch: maps (B, H, W, rank) to the same shape; in a windowed block B counts windows.
        up: (out_features, rank).
    """

    down: Tensor
    branch: Callable[[Tensor], Tensor]
    up: Tensor


class LowRankAdapter(Adapter):
    """h = W0 x + scaling * lora_B branch(lora_A x), with W0 frozen.

    `lora_B` starts at zero, so a fresh adapter is its base layer bit for bit (LoRA, arXiv:2106.09685).

    Args:
        base_layer: the layer to adapt, (..., in_features) to (..., out_features).
        rank: channels of the branch.
        lora_alpha: numerator of `scaling` = lora_alpha / rank.

    Attributes:
        windows: of the layer's block, where the branch sees the whole image in spite of them; else None.
    """

    def __init__(self, base_layer: nn.Linear, rank: int, lora_alpha: float) -> None:
        super().__init__(base_layer)
        self.windows: Windows | None = None
        self.rank = rank
        self.scaling = lora_alpha / rank
        self.lora_A = nn.Parameter(torch.empty(rank, base_layer.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base_layer.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features); of a windowed block B counts windows."""
        return self._adapted(x, None).inside

    def on_padded_grid(self, x: Tensor, windows: Windows) -> PaddedGrid:
        """Map the image's tokens (B, H, W, in_features) as `forward` maps their windows, padded with zeros.

        Only the branch sees the padding: its operations reach from the image into it.

        Returns:
            (B, H, W, out_features), and what lies beyond.
        """
        return self._adapted(x, windows)

    def updates(self) -> list[Update]:
        """Return what is added to the base layer's output."""
        # Scaling the small matrix instead of the large result saves a pass over it, forward and backward.
        return [Update(self.lora_A, self.branch, self.lora_B * self.scaling)]

    def _adapted(self, x: Tensor, windows: Windows | None) -> PaddedGrid:
        # Once, and not in every product; autocast leaves an operation in place alone.
        x = x.to(autocast_type(x) or x.dtype)
        batch, height, width = x.shape[:3]
        inside = self.base_layer(x.flatten(0, 2))
        bias, whole = self.base_layer.bias, windows.side * windows.across if windows else 0
        fill = inside.new_zeros(1) if bias is None else bias.to(inside.dtype)
        right = fill.expand(batch, height, max(0, whole - width), inside.shape[1])
        below = fill.expand(batch, max(0, whole - height), whole, inside.shape[1])
        for down, branch, up in self.updates():
            z = nn.functional.linear(x, down)
            z = branch(z if windows is None else windows.split(windows.pad(z)))
            z = z if windows is None else windows.join(z)
            z, up = z.to(inside.dtype), up.to(inside.dtype)
            grid = PaddedGrid.of(z, height, width)
            # In place, because the result is wide: no second pass over it.
            inside = inside.addmm_(grid.inside.flatten(0, 2), up.t())
            if windows is not None:
                right, below = right + grid.right @ up.t(), below + grid.below @ up.t()
        return PaddedGrid(inside.view(batch, height, width, -1), right, below)

    def branch(self, z: Tensor) -> Tensor:
        """Map the projected tokens, (B, H, W, rank), to the same shape."""
        raise TypeError(f"{type(self).__name__} must define branch()")

    def branch_kernels(self) -> EdgeKernels:
        """Return the branch as the kernels of a cell, each (rank, rank, k, k).

        Raises:
            MergeError: if the branch is not made of convolutions.
        """
        raise MergeError(f"{type(self).__name__} is not made of convolutions; use merge.mode calibrated")

    def branch_gains(self) -> Tensor | None:
        """Return the gains (rank, m, m) of a branch that is z + filter_waves(z, gains); None of any other."""
        return None

    def delta_weight(self) -> Tensor:
        """Return the update a merge adds to the frozen weight, (out_features, in_features).

        Exactly zero right after construction.

        Raises:
            MergeError: if the branch reads neighbouring tokens, which no weight of a linear layer can do.

        Source: arXiv:2106.09685, section 4.1.
        """
        return self.scaling * self.lora_B @ as_matrix(self.branch_kernels()) @ self.lora_A


def callbacks_of(adapters: Iterable[Adapter]) -> list[TrainingCallback]:
    """Return the callbacks of some adapters, each once: the layers of a method share theirs."""
    return list(dict.fromkeys(adapter.callback for adapter in adapters if adapter.callback is not None))


# Prepares an image encoder whose parameters are all frozen, in place: replaces layers by adapters, lets parameters
# learn. Returns the adapters by the name of the layer they replaced.
Method = Callable[[nn.Module, AdapterConfig, SearchConfig], dict[str, Adapter]]

METHODS: Registry[Method] = Registry("adapter method")

_FAMILY = "peft"


def find_method(name: str) -> Method:
    """Return the method called `name`; "peft:loha" is one of the family "peft".

    Raises:
        ConfigError: if there is none; the message lists the known names.
    """
    return METHODS[_FAMILY if name.startswith(f"{_FAMILY}:") else name]
