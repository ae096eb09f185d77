"""Conv-LoRA: LoRA with a gate that picks one of several convolutions of different scales (arXiv:2401.17868)."""

import torch
import torch.nn.functional as F
from pydantic import Field, ValidationError
from torch import Tensor, nn

from naslora_core.adapters.base import METHODS, LowRankAdapter
from naslora_core.adapters.layers import in_every_layer
from naslora_core.config import AdapterConfig, SearchConfig, Section
from naslora_core.errors import ConfigError
from naslora_core.ops.multi_scale import convolve_at_scale

# Below this the noise of the gate never falls, so that no expert is out of reach.
_LEAST_NOISE = 1e-2


class ConvLoRAOptions(Section):
    """`adapter.options` of Conv-LoRA; absent ones are as its authors publish them.

    Attributes:
        experts: M; expert i works at i times the resolution.
        balance_weight: of the loss that keeps the experts equally busy.
    """

    experts: int = Field(default=8, ge=1, le=64)
    balance_weight: float = Field(default=1e-2, ge=0)


class ConvLoRALayer(LowRankAdapter):
    """h = W0 x + scaling * lora_B (z + E_g(z)) with z = lora_A x, and g the expert that a gate chooses.

    The gate looks at the mean of z over the grid, so there is one choice for each image, and in windowed blocks
    one for each window. As in the authors' code the chosen expert is added to z without the gate's value, which
    for one expert is 1: the gate learns from the balance loss alone.

    Args:
        base_layer: the layer to adapt.
        rank: channels of the experts.
        lora_alpha: numerator of `scaling`.
        options: experts and balance.
    """

    def __init__(self, base_layer: nn.Linear, rank: int, lora_alpha: float, options: ConvLoRAOptions) -> None:
        super().__init__(base_layer, rank, lora_alpha)
        self._balance_weight = options.balance_weight
        self.expert_weights = nn.Parameter(torch.empty(options.experts, rank, rank, 3, 3))
        self.expert_biases = nn.Parameter(torch.zeros(options.experts, rank))
        for weight in self.expert_weights:
            nn.init.kaiming_uniform_(weight, a=5**0.5)
        self.gate = nn.Parameter(torch.zeros(options.experts, rank))
        self.gate_noise = nn.Parameter(torch.zeros(options.experts, rank))
        self._penalty: Tensor | None = None

    def branch(self, z: Tensor) -> Tensor:
        """Map (B, H, W, rank) to the same shape; B counts windows in windowed blocks."""
        chosen = self._route(z.mean(dim=(1, 2)).float())
        maps = z.permute(0, 3, 1, 2)
        parts, rows = [], []
        for expert in chosen.unique().tolist():
            own = (chosen == expert).nonzero()[:, 0]
            weight, bias = self.expert_weights[expert], self.expert_biases[expert]
            parts.append(convolve_at_scale(maps[own], weight, expert + 1, bias))
            rows.append(own)
        found = torch.cat(parts)[torch.cat(rows).argsort()]
        return z + found.permute(0, 2, 3, 1).to(z.dtype)

    def take_penalty(self) -> Tensor | None:
        """Return the balance loss of the last training pass, once."""
        penalty, self._penalty = self._penalty, None
        return penalty

    def _route(self, pooled: Tensor) -> Tensor:
        """Return the chosen expert of every row of (B, rank), (B,); with noise while training."""
        clean = F.linear(pooled, self.gate.float())
        if not self.training or len(self.gate) == 1:
            return clean.argmax(dim=1)
        spread = F.softplus(F.linear(pooled, self.gate_noise.float())) + _LEAST_NOISE
        noisy = clean + torch.randn_like(clean) * spread
        chosen = noisy.argmax(dim=1)
        importance = F.one_hot(chosen, len(self.gate)).float().sum(dim=0)
        load = _chance_to_win(clean, noisy, spread).sum(dim=0)
        self._penalty = self._balance_weight * (_squared_variation(importance) + _squared_variation(load))
        return chosen


def _chance_to_win(clean: Tensor, noisy: Tensor, spread: Tensor) -> Tensor:
    """Return the probability that each expert is chosen if its own noise is drawn again, (B, experts).

    Source: arXiv:1701.06538, Appendix A, Eqs. 8 and 9, for one winner.
    """
    best = noisy.topk(2, dim=1).values
    rival = torch.where(noisy == best[:, :1], best[:, 1:], best[:, :1])
    return torch.special.ndtr((clean - rival) / spread)


def _squared_variation(values: Tensor) -> Tensor:
    """Return variance over squared mean: 0 if all values are the same."""
    return values.var() / (values.mean().square() + 1e-10)


@METHODS.register("conv_lora")
@in_every_layer
def build_conv_lora(base_layer: nn.Linear, adapter: AdapterConfig, search: SearchConfig) -> ConvLoRALayer:
    """Wrap a layer with Conv-LoRA.

    Raises:
        ConfigError: if `adapter.options` name something else, or a number is out of range.
    """
    try:
        options = ConvLoRAOptions.model_validate(adapter.options)
    except ValidationError as error:
        known = ", ".join(ConvLoRAOptions.model_fields)
        detail = error.errors()[0]
        raise ConfigError(
            f"adapter.options {adapter.options} do not fit conv_lora: {'.'.join(map(str, detail['loc']))}: "
            f"{detail['msg']}; it knows {known}"
        ) from error
    return ConvLoRALayer(base_layer, adapter.rank, adapter.lora_alpha, options)
