"""What a predicted mask is punished for."""

import torch.nn.functional as F
from torch import Tensor


def bce_dice_loss(logits: Tensor, masks: Tensor, valid: Tensor) -> Tensor:
    """Return binary cross-entropy plus soft Dice loss, each the mean over the batch.

    Args:
        logits: (B, 1, S, S).
        masks: (B, 1, S, S), 0 or 1.
        valid: (B, 1, S, S), 1 on the image and 0 on its padding, which counts for nothing.
    """
    pixels = valid.sum((1, 2, 3)).clamp(min=1)
    bce = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    probability = logits.sigmoid() * valid
    target = masks * valid
    overlap = (probability * target).sum((1, 2, 3))
    dice = 1 - (2 * overlap + 1) / (probability.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)
    return ((bce * valid).sum((1, 2, 3)) / pixels + dice).mean()
