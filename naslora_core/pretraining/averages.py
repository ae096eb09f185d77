"""The exponential moving average of the weights, which is what a pre-training writes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a module's state.

    Args:
        module: its state at construction is where the average starts.
        decay: share of the average that an update keeps; young averages keep less, so that they forget the start.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._averages = {key: value.detach().clone() for key, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the averages towards the module's state after update number `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        state = module.state_dict()
        torch._foreach_lerp_(list(self._averages.values()), [state[key] for key in self._averages], 1 - decay)

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return the averages, keyed as in the module's state."""
        return self._averages

    def load_state_dict(self, averages: Mapping[str, Tensor]) -> None:
        """Restore averages from a state dict."""
        self._averages = {key: averages[key].clone() for key in self._averages}
