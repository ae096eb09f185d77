"""Least squares on the inputs of a layer, by second moments, so that memory does not grow with the images."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from naslora_core.errors import MergeError
from naslora_core.sam.precision import autocast

_BLOCK = 128


class Moments:
    """Second moments of a layer's input tokens x and the cell's outputs t, in float64, summed batch by batch.

    Of those of x, which are symmetric, only blocks on and above the diagonal are summed: it is most of the time.

    Args:
        in_features: channels of x.
        rank: channels of t.
        device: where the tokens are.
    """

    def __init__(self, in_features: int, rank: int, device: torch.device) -> None:
        self.tokens = 0
        self._xx = torch.zeros(in_features, in_features, dtype=torch.float64, device=device)
        self.tx = torch.zeros(rank, in_features, dtype=torch.float64, device=device)
        self.tt = torch.zeros(rank, rank, dtype=torch.float64, device=device)

    def add(self, x: Tensor, t: Tensor) -> None:
        """Add inputs (..., in_features) and their outputs (..., rank) to the sums."""
        tokens, outputs = x.flatten(0, -2).double(), t.flatten(0, -2).double()
        self.tokens += len(tokens)
        self.add_products(tokens)
        self.tx += outputs.t() @ tokens
        self.tt += outputs.t() @ outputs

    def add_products(self, tokens: Tensor, sign: int = 1) -> None:
        """Add the products x x' alone, or subtract them with -1, of inputs (N, in_features) in float64."""
        for start in range(0, len(self._xx), _BLOCK):
            rows = slice(start, start + _BLOCK)
            self._xx[rows, start:] += sign * (tokens[:, rows].t() @ tokens[:, start:])

    @property
    def xx(self) -> Tensor:
        """The sums of x x', (in_features, in_features)."""
        return self._xx.triu() + self._xx.triu(1).t()

    def fit(self, prior: Tensor, ridge: float) -> Tensor:
        """Return the matrix W that minimises mean |t - W x|^2 + penalty |W - prior|^2, (rank, in_features).

        Args:
            prior: what W is where the tokens say nothing, (rank, in_features).
            ridge: the penalty, relative to the mean square of x.
        """
        xx, tx = self.xx / self.tokens, self.tx / self.tokens
        penalty = ridge * xx.diagonal().mean()
        regular = xx + penalty * torch.eye(len(xx), dtype=xx.dtype, device=xx.device)
        return prior + torch.linalg.solve(regular, tx - prior @ xx, left=False)

    def unexplained(self, weight: Tensor, up: Tensor) -> float:
        """Return mean |up (t - W x)|^2 over mean |up t|^2: 0 if W gives all that t adds, or if it adds nothing.

        Args:
            weight: W, (rank, in_features).
            up: maps t to where it is added, (out_features, rank).
        """
        cross = weight @ self.tx.t()
        left = self.tt - cross - cross.t() + weight @ self.xx @ weight.t()
        metric = up.t() @ up
        whole = float((metric * self.tt).sum())
        return max(float((metric * left).sum()) / whole, 0.0) if whole > 0 else 0.0


class _ReachedError(Exception):
    """Stops a forward pass at the layer whose input is recorded."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x


def input_of(layer: nn.Module, model: Callable[[Tensor], object], images: Tensor, precision: str = "fp32") -> Tensor:
    """Return the input of a layer for given images, without running the layers after it.

    Args:
        layer: a part of the model.
        model: maps images, or what has become of them, to anything.
        images: (B, 3, S, S), or what the model goes on from.
        precision: of the layers before it: "auto", "fp32" or "bf16".

    Returns:
        Its first argument, as float32.
    """

    def stop(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        raise _ReachedError(inputs[0])

    handle = layer.register_forward_pre_hook(stop)
    try:
        with autocast(precision, images.device):
            model(images)
    except _ReachedError as reached:
        return reached.x.float()
    finally:
        handle.remove()
    raise MergeError(f"a {type(layer).__name__} takes no part in segmenting an image; check adapter.target_modules")
