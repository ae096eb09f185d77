"""Scale the singular values of the frozen layer, without new directions."""

import torch
from torch import Tensor, nn

from naslora_core.ops.base import OPS, PointwisePrimitive


@OPS.register("singular_values")
class SingularValues(PointwisePrimitive):
    """Scale channels, which a layer under a budget makes those of its weight's singular vectors.

    With W0 = U S V', of which the largest singular values are kept, that layer adds U S (scales - 1) V' x: as many
    numbers as the rank, and a merge is exact. In the paper's cell it scales the channels of LoRA.

    Source: SVFit (arXiv:2409.05926) and SALT (arXiv:2503.16055) train singular values.
    """

    scales_base = True

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.scales = nn.Parameter(torch.ones(channels))

    def taps(self) -> Tensor:
        """Return the scales on the channel diagonal, (C, C, 1, 1)."""
        return self.scales.diag()[:, :, None, None]
