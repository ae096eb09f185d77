"""The part of a model that training changes."""

from torch import Tensor

from naslora_core.adapted.state import trainable_state
from naslora_core.sam.build import Sam


def trained_state(sam: Sam) -> dict[str, Tensor]:
    """Return copies of all that an epoch may have changed, by the model's own keys.

    `sam.load_state_dict(..., strict=False)` takes it back.
    """
    return {name: value.detach().clone() for name, value in trainable_state(sam).items()}
