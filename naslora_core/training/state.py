"""The part of a model that training changes."""

from torch import Tensor

from naslora_core.inject import adapter_state
from naslora_core.sam.build import Sam


def trained_state(sam: Sam) -> dict[str, Tensor]:
    """Return copies of all that an epoch may have changed, by the model's own keys.

    That is everything of the adapters, frozen alphas, temperature and pressure included, and the trainable
    part of the mask decoder; `sam.load_state_dict(..., strict=False)` takes it back.
    """
    trainable = {name for name, parameter in sam.named_parameters() if parameter.requires_grad}
    decoder = {name: value for name, value in sam.state_dict().items() if name in trainable}
    return {name: value.detach().clone() for name, value in (adapter_state(sam) | decoder).items()}
