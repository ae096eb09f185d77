"""Weights in the type that products are computed in, so that autocast does not convert them at every step."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from naslora_core.adapted.state import find_adapters
from naslora_core.adapters import LowRankAdapter
from naslora_core.sam.mapped import give_back, mapped_ranges


def product_layers(encoder: nn.Module) -> list[nn.Module]:
    """Return the layers of an encoder whose weights are read by matrix products and convolutions alone, and stay.

    Autocast converts what these take. Adapters that read their layer's weight otherwise, such as DoRA's norms, keep
    it as it is; so do layers that learn, unless no gradient is asked for.
    """
    adapters = find_adapters(encoder).values()
    aside = {part for layer in adapters if not isinstance(layer, LowRankAdapter) for part in layer.modules()}
    layers = [layer for layer in encoder.modules() if type(layer) in (nn.Linear, nn.Conv2d) and layer not in aside]
    if not torch.is_grad_enabled():
        return layers
    return [layer for layer in layers if not any(parameter.requires_grad for parameter in layer.parameters())]


class HeldWeights:
    """Copies of frozen weights in bfloat16, which take the weights' place while a model is trained or predicts.

    What is computed is the same: autocast rounds the same weights in the same way, only at every step. The weights
    themselves are back in their place outside of `hold`: whatever saves, merges or looks at them finds them whole.
    Meanwhile they stay in memory, unless they are mapped from a file, where nothing else needs them.

    Args:
        encoder: whose layers are looked up whenever copies are put in place.
        dtype: that autocast computes in; None where it is off, and nothing is held.
    """

    def __init__(self, encoder: nn.Module, dtype: torch.dtype | None) -> None:
        self._encoder, self._dtype = encoder, dtype
        self._copies: dict[nn.Parameter, tuple[tuple[int, int], Tensor]] = {}

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Put the copies in place, and the weights back in the end."""
        layers = product_layers(self._encoder) if self._dtype is not None else []
        parameters = [parameter for layer in layers for parameter in layer.parameters()]
        # Others are held already, perhaps in another thread, which is to put them back.
        whole = {parameter: parameter.data for parameter in parameters if parameter.dtype is torch.float32}
        try:
            for parameter, copy in zip(whole, self._copies_of(list(whole)), strict=True):
                parameter.data = copy
            yield
        finally:
            for parameter, weight in whole.items():
                parameter.data = weight

    def _copies_of(self, parameters: list[nn.Parameter]) -> Iterator[Tensor]:
        # Of the weights as they are now, should somebody have loaded others.
        states = [(parameter.data_ptr(), parameter._version) for parameter in parameters]
        known = [self._copies.get(parameter, (None,))[0] for parameter in parameters]
        files = mapped_ranges() if states != known else []
        for parameter, state, old in zip(parameters, states, known, strict=True):
            if state != old:
                self._copies[parameter] = state, parameter.data.to(self._dtype)
                # One by one, so that they are never all in memory beside the copies.
                give_back(parameter.data, files)
            yield self._copies[parameter][1]
