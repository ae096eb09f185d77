"""The losses between predicted logits and masks; to add one, register a function that builds it."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from naslora_core.config import TrainConfig
from naslora_core.errors import ConfigError
from naslora_core.registry import Registry
from naslora_core.training.centreline import soft_cl_dice_loss

# Maps logits (B, K, S, S), class ids (B, 1, S, S) and valid areas (B, 1, S, S) to a number. What is not valid, padding
# and pixels that nobody labelled, has the id 0 and must not count.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

LOSSES: Registry[Callable[[TrainConfig, int], Loss]] = Registry("loss")

# What soft clDice counts beside a Dice of 1, so alpha = 1/3 in the authors' (1 - alpha) Dice + alpha clDice. They keep
# alpha within 1/2: masks are the aim, not their centrelines (arXiv:2003.07311, section 4).
CENTRELINE_WEIGHT = 0.5


def make_loss(train: TrainConfig, classes: int) -> Loss:
    """Return the loss called `train.loss` for a number of classes beside the background.

    Raises:
        ConfigError: if the loss is unknown, or not made for so many classes.
    """
    return LOSSES[train.loss](train, classes)


@LOSSES.register("ce_dice")
def _build_ce_dice(train: TrainConfig, classes: int) -> Loss:
    return ce_dice_loss


@LOSSES.register("ce_dice_cl")
def _build_ce_dice_cl(train: TrainConfig, classes: int) -> Loss:
    return ce_dice_cl_loss


@LOSSES.register("structure")
def _build_structure(train: TrainConfig, classes: int) -> Loss:
    if classes > 1:
        raise ConfigError(f"train.loss structure is made for one class, the data has {classes}; use train.loss ce_dice")
    return partial(structure_loss, weights_bce=train.structure_weights_bce)


def ce_dice_loss(logits: Tensor, masks: Tensor, valid: Tensor) -> Tensor:
    """Return cross-entropy plus soft Dice loss, each the mean over the batch.

    The background's logit is 0, so with one class this is binary cross-entropy. Dice is the mean over classes.

    Args:
        logits: (B, K, S, S), of the classes without the background.
        masks: (B, 1, S, S), class ids 0..K, 0 is the background.
        valid: (B, 1, S, S), 1 on the image and 0 on its padding and on pixels that nobody labelled, which count for
            nothing.
    """
    scores = _scores(logits)
    if logits.shape[1] == 1:
        entropy = F.binary_cross_entropy_with_logits(scores, masks, reduction="none")
    else:
        entropy = F.cross_entropy(scores, masks[:, 0].long(), reduction="none")[:, None]
    target = _by_class(masks, logits.shape[1]) * valid
    probability = _probability(scores) * valid
    overlap = (probability * target).sum((2, 3))
    dice = 1 - (2 * overlap + 1) / (probability.sum((2, 3)) + target.sum((2, 3)) + 1)
    pixels = valid.sum((1, 2, 3)).clamp(min=1)
    return ((entropy * valid).sum((1, 2, 3)) / pixels + dice.mean(dim=1)).mean()


def ce_dice_cl_loss(logits: Tensor, masks: Tensor, valid: Tensor) -> Tensor:
    """Return `ce_dice_loss` plus half of soft clDice's, for lines that shall not break; arguments as there."""
    logits = logits.float()
    lines = soft_cl_dice_loss(_probability(_scores(logits)), _by_class(masks, logits.shape[1]), valid)
    return ce_dice_loss(logits, masks, valid) + CENTRELINE_WEIGHT * lines


def _scores(logits: Tensor) -> Tensor:
    """Return the logits, of several classes with the background's before them; (B, 1, S, S) or (B, K + 1, S, S)."""
    return logits if logits.shape[1] == 1 else torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)


def _probability(scores: Tensor) -> Tensor:
    """Return the probability of each class without the background; (B, K, S, S)."""
    return scores.sigmoid() if scores.shape[1] == 1 else scores.softmax(dim=1)[:, 1:]


def _by_class(masks: Tensor, classes: int) -> Tensor:
    """Return (B, K, S, S) bool, which pixels are of each class, from (B, 1, S, S) class ids."""
    return masks == torch.arange(1, classes + 1, device=masks.device).view(1, -1, 1, 1)


def structure_loss(logits: Tensor, masks: Tensor, valid: Tensor, *, weights_bce: bool) -> Tensor:
    """Return cross-entropy plus 1 - IoU, both weighted up where a pixel differs from its surroundings.

    The weight is 1 + 5 |mean of the mask over 31 x 31 pixels - mask|. Outside of the image the mask counts as
    zero in that mean, as it does beyond the border in the authors' code; so padding changes no weight, and has
    none itself. Pixels that nobody labelled are treated like padding.

    Args:
        logits: (B, 1, S, S).
        masks: (B, 1, S, S), 0 or 1.
        valid: (B, 1, S, S), 1 on the image and 0 on its padding and on pixels that nobody labelled, which count for
            nothing.
        weights_bce: weight the cross-entropy as the formula says. The authors pass reduce="none", a string and
            so true, which makes it one mean over the batch from which the weights cancel; False repeats that.

    Source: PraNet, arXiv:2006.11392, section 2.5 and https://github.com/DengPingFan/PraNet, MyTrain.py.
    """
    masks = masks * valid
    # Two passes over lines instead of one over squares: the same mean in a sixteenth of the time.
    columns = F.avg_pool2d(masks, (31, 1), stride=1, padding=(15, 0))
    surroundings = F.avg_pool2d(columns, (1, 31), stride=1, padding=(0, 15))
    weight = (1 + 5 * (surroundings - masks).abs()) * valid
    bce = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    if weights_bce:
        entropy = (weight * bce).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1)
    else:
        entropy = (valid * bce).sum() / valid.sum().clamp(min=1)
    probability = logits.sigmoid()
    overlap = (weight * probability * masks).sum((1, 2, 3))
    union = (weight * (probability + masks)).sum((1, 2, 3)) - overlap
    return (entropy + 1 - (overlap + 1) / (union + 1)).mean()
