"""The layer that merge `fold` leaves behind, and how its tensors are named in a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.adapters.base import autocast_type
from naslora_core.cell.kernels import EdgeKernels, run_kernels
from naslora_core.geometry.windows import PaddedGrid, Windows
from naslora_core.merge.tokens import convolve_tokens, filter_tokens

_PREFIX, _WHOLE_IMAGE = "fold_", "image_"
_KERNEL, _GAINS = "kernel_", "gains"


@dataclass(frozen=True)
class BranchLayout:
    """What the branch of a folded layer consists of: kernels, or the gains of waves.

    Attributes:
        kernels: their sides, odd, by (source node, target node).
        waves: the side m of the gains; 0 where there are kernels.
        whole_image: whether it runs on the windows of a block put together.
    """

    kernels: Mapping[tuple[int, int], int]
    waves: int = 0
    whole_image: bool = False

    def names(self) -> dict[tuple[int, int], str]:
        """Return the parameters' names: by edge, and that of gains by (0, 0)."""
        prefix = _PREFIX + _WHOLE_IMAGE * self.whole_image
        names = {(source, target): f"{prefix}{_KERNEL}{source}_{target}" for source, target in self.kernels}
        return names | ({(0, 0): prefix + _GAINS} if self.waves else {})


class FoldedLinear(nn.Linear):
    """h = W x + bias + fold_B branch(fold_A x), with the branch as convolutions or as a filter of waves.

    It is one product of [W fold_B] with [x branch(fold_A x)]: `rank` channels more cost less than a second product
    and a sum over the large result. All parameters lie side by side in memory, so that they are put together by a
    view and autocast's conversion is one for all: so small a branch costs by the number of calls.

    `weight` and `bias` keep upstream's names; a checkpoint has two matrices more, and a kernel for each edge.

    Args:
        in_features: channels of the input.
        out_features: channels of the output.
        rank: channels of the branch.
        layout: what the branch consists of.
        bias: whether the linear layer has one.
        windows: of the layer's block, where the branch sees the whole image.
    """

    def __init__(
        self, in_features: int, out_features: int, rank: int, layout: BranchLayout, bias: bool, windows: Windows | None
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.layout, self.windows = layout, windows
        # Laid out as the products read them: fold_B (rank, out), kernels (k, k, C_in, C_out), gains (m, m, C).
        self.fold_A = nn.Parameter(torch.zeros(rank, in_features))
        self.fold_B = nn.Parameter(torch.zeros(rank, out_features))
        for edge, name in layout.names().items():
            side = layout.kernels.get(edge, layout.waves)
            shape = (side, side, rank, rank) if edge in layout.kernels else (side, side, rank)
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self._lay_side_by_side()

    @classmethod
    def from_parts(
        cls, linear: nn.Linear, down: Tensor, branch: EdgeKernels | Tensor, up: Tensor, windows: Windows | None = None
    ) -> "FoldedLinear":
        """Build the layer from a linear layer, a branch, and the projections around it.

        Args:
            linear: its weight and bias are copied.
            down: (rank, in_features).
            branch: kernels, each (rank, rank, k, k), output channels first, or gains (rank, m, m).
            up: (out_features, rank).
            windows: of the layer's block, where the branch sees the whole image.
        """
        if isinstance(branch, Tensor):
            layout = BranchLayout({}, branch.shape[-1], windows is not None)
            tensors = [branch.permute(1, 2, 0)]
        else:
            layout = BranchLayout({edge: k.shape[-1] for edge, k in branch.items()}, 0, windows is not None)
            tensors = [kernel.permute(2, 3, 1, 0) for kernel in branch.values()]
        layer = cls(linear.in_features, linear.out_features, len(down), layout, linear.bias is not None, windows)
        layer.to(linear.weight)
        values = {"fold_A": down, "fold_B": up.t()} | dict(zip(layout.names().values(), tensors, strict=True))
        with torch.no_grad():
            for name, value in (dict(linear.named_parameters()) | values).items():
                layer.get_parameter(name).copy_(value)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features); of a windowed block B counts windows."""
        return self._run(x, None).inside

    def on_padded_grid(self, x: Tensor, windows: Windows) -> PaddedGrid:
        """Map the image's tokens (B, H, W, in_features) as `forward` maps their windows, padded with zeros."""
        return self._run(x, windows)

    def _run(self, x: Tensor, windows: Windows | None) -> PaddedGrid:
        # Autocast would convert the input, and every parameter, by a call for each of them.
        dtype = autocast_type(x)
        if dtype is not None:
            x = x.to(dtype)
        wide_weight, down, bias, *branch = self._operands(dtype)
        z = F.linear(x, down)
        z = self._branch(z if windows is None else windows.split(windows.pad(z)), branch)
        z = z if windows is None else windows.join(z)
        inside, right, below = PaddedGrid.of(z, *x.shape[1:3])
        up = wide_weight[:, self.in_features :]
        beyond = (F.linear(part, up, bias) if part.numel() else part for part in (right, below))
        return PaddedGrid(F.linear(torch.cat([x, inside], dim=-1), wide_weight, bias), *beyond)

    def _branch(self, z: Tensor, branch: list[Tensor]) -> Tensor:
        """Run the branch on (B, H, W, rank); B counts windows where there are any."""
        if self.windows is not None:
            z = self.windows.join(z)
        if self.layout.waves:
            z = filter_tokens(z, branch[0])
        elif len(branch) == 1:
            z = convolve_tokens(z, branch[0])
        else:
            z = run_kernels(dict(zip(self.layout.kernels, branch, strict=True)), z, convolve_tokens)
        return z if self.windows is None else self.windows.split(z)

    def _operands(self, dtype: torch.dtype | None) -> list[Any]:
        """Return [W fold_B], fold_A, the bias or None, and the branch's tensors, of a type if one is given."""
        weight = self.weight
        # A view of one parameter gives no gradient to another, and a traced graph knows nothing of places in memory.
        learns = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters())
        if learns or torch.compiler.is_compiling() or weight.data_ptr() != self._place:
            return self._separate_operands()
        together = weight.as_strided(*self._whole)
        if dtype is not None:
            together = together.to(dtype)
        return [view and together.as_strided(*view) for view in self._views]

    def _separate_operands(self) -> list[Any]:
        branch = [getattr(self, name) for name in self.layout.names().values()]
        branch = branch if self.layout.waves else [kernel.flatten(0, 2) for kernel in branch]
        return [torch.cat([self.weight, self.fold_B.t()], dim=1), self.fold_A, self.bias, *branch]

    @torch.no_grad()
    def _lay_side_by_side(self) -> None:
        """Move all parameters to one place in memory: the rows of [W fold_B] first, then the others."""
        rank, width = len(self.fold_A), self.in_features + len(self.fold_A)
        others = [self.fold_A, self.bias, *(getattr(self, name) for name in self.layout.names().values())]
        wide = torch.cat([self.weight, self.fold_B.t()], dim=1)
        together = torch.cat([wide.flatten(), *(parameter.flatten() for parameter in others if parameter is not None)])
        self.weight.data = together.as_strided((self.out_features, self.in_features), (width, 1), 0)
        self.fold_B.data = together.as_strided((rank, self.out_features), (1, width), self.in_features)
        self._whole = (len(together),), (1,)
        self._views: list[Any] = [((self.out_features, width), (width, 1), 0)]
        offset = wide.numel()
        for parameter in others:
            if parameter is None:
                self._views.append(None)
                continue
            parameter.data = together[offset : offset + parameter.numel()].view(parameter.shape)
            read = parameter.flatten(0, 2) if parameter.dim() == 4 else parameter
            self._views.append((tuple(read.shape), read.stride(), offset))
            offset += parameter.numel()
        # Where the weight is found elsewhere nothing is counted on.
        self._place = self.weight.data_ptr()

    @torch.no_grad()
    def lay_apart(self) -> None:
        """Give every parameter memory of its own, as formats want it that store tensors one by one."""
        self._place = -1
        for parameter in self.parameters():
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Register a parameter, which may lie anywhere."""
        super().register_parameter(name, param)
        self._place = -1

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Of a copy, or of a pickle, whose parameters were copied one by one.
        super().__setstate__(state)
        self._lay_side_by_side()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FoldedLinear":
        # Moved or of another type, each parameter has a place of its own.
        super()._apply(fn, recurse)
        self._lay_side_by_side()
        return self


def folded_layers(weights: Mapping[str, Tensor]) -> dict[str, BranchLayout]:
    """Return the layouts of the folded layers in a state dict, by the layers' names.

    Raises:
        ValueError: if the tensors of a layer do not belong together.
    """
    found: dict[str, dict[str, int]] = {}
    for key, value in weights.items():
        name, _, own = key.rpartition(".")
        part = own.removeprefix(_PREFIX).removeprefix(_WHOLE_IMAGE)
        if own.startswith(_PREFIX) and part.startswith((_KERNEL, _GAINS)):
            found.setdefault(name, {})[own] = len(value)
    return {name: _layout_of(name, sides) for name, sides in found.items()}


def _layout_of(name: str, sides: Mapping[str, int]) -> BranchLayout:
    whole_image = all(own.startswith(_PREFIX + _WHOLE_IMAGE) for own in sides)
    kernels, waves = {}, 0
    for own, side in sides.items():
        part = own.removeprefix(_PREFIX).removeprefix(_WHOLE_IMAGE)
        if part == _GAINS:
            waves = side
        else:
            source, _, target = part.removeprefix(_KERNEL).partition("_")
            if not (source.isdecimal() and target.isdecimal()):
                raise ValueError(f"{name}.{own} is no kernel between two nodes")
            kernels[int(source), int(target)] = side
    layout = BranchLayout(kernels, waves, whole_image)
    # A cell of n nodes has n edges at least, so that nothing counts up to whatever number a file names.
    nodes = range(1, min(len(kernels), max((target for _, target in kernels), default=0)) + 1)
    complete = {(source, target) for target in nodes for source in range(target)}
    if set(layout.names().values()) != set(sides) or set(kernels) != complete or bool(waves) == bool(kernels):
        raise ValueError(f"{name} has {', '.join(sorted(sides))}, which make no branch")
    if even := [own for own, side in sides.items() if _KERNEL in own and side % 2 == 0]:
        raise ValueError(f"{name}.{even[0]} has an even side")
    return layout
