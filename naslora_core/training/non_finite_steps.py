"""Steps whose loss or gradients are no numbers: a stray one is left out, several in a row end the run."""

import math
from collections.abc import Sequence

from naslora_core.errors import TrainingError

MAX_IN_A_ROW = 5


class StraySteps:
    """Decide whether a step's gradients may change anything.

    A single overflow of a kernel in bfloat16 must not cost hours of training, nor reach a weight, from which it would
    spread to all others. Gradient scalers leave out such steps, too (arXiv:1710.03740, section 3.2).
    """

    def __init__(self) -> None:
        self._in_a_row = 0

    def may_update(self, step: int, loss: float, norms: Sequence[float], names: Sequence[str]) -> bool:
        """Return whether loss and gradients are numbers.

        Args:
            step: its number, for the message.
            loss: of the batch.
            norms: of all gradients, by optimiser.
            names: of the batch's images.

        Raises:
            TrainingError: if this is the fifth in a row that are not.
        """
        if all(math.isfinite(number) for number in (loss, *norms)):
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        if self._in_a_row == MAX_IN_A_ROW:
            raise TrainingError(
                f"{MAX_IN_A_ROW} steps in a row were left out, the last of them step {step}: the loss is {loss:g}, its "
                f"gradients' norm {max(norms):g}, on {', '.join(names)}. Look at these images and masks; lower "
                "train.lr and search.arch_lr, or set model.precision: fp32. The last checkpoint is kept"
            )
        return False
