"""Validation Dice on prepared data, by which training selects its best epoch and a merge is accepted."""

from collections.abc import Sequence

import torch
from torch import Tensor

from naslora_core.data.prepared.batches import make_batch
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.sam.precision import autocast
from naslora_core.sam.segmenter import PromptFreeSegmenter, predicted_classes

_BATCH_SIZE = 8


def mean_dice(segmenter: PromptFreeSegmenter, data: PreparedData, precision: str) -> float:
    """Return the mean over images of what `dice_per_image` returns."""
    return float(dice_per_image(segmenter, data, range(len(data)), precision).mean())


@torch.no_grad()
def dice_per_image(segmenter: PromptFreeSegmenter, data: PreparedData, rows: Sequence[int], precision: str) -> Tensor:
    """Return the Dice score of some images at the model's input size, without padding and ignored pixels, (len(rows),).

    With several classes an image's score is the mean over those that its mask or its prediction contains.
    Two empty masks agree: 1. The stage `evaluate` measures at the images' own size instead.
    """
    device = segmenter.sam.device
    scores = []
    for start in range(0, len(rows), _BATCH_SIZE):
        batch = make_batch(data, rows[start : start + _BATCH_SIZE])
        with autocast(precision, device):
            logits = segmenter.upscale(segmenter(batch.images.to(device))).cpu()
        scores.append(_dice(predicted_classes(logits), batch.masks, batch.valid > 0, logits.shape[1]))
    return torch.cat(scores)


def _dice(found: Tensor, wanted: Tensor, valid: Tensor, classes: int) -> Tensor:
    """Return the score of every image, (B,), of class ids (B, 1, S, S)."""
    ids = torch.arange(1, classes + 1).view(1, -1, 1, 1)
    hits, truths = (found == ids) & valid, (wanted == ids) & valid  # (B, K, S, S)
    overlap = 2.0 * (hits & truths).sum((2, 3))
    sizes = hits.sum((2, 3)) + truths.sum((2, 3))
    present = (sizes > 0).sum(dim=1)
    scores = (overlap / sizes.clamp(min=1)).sum(dim=1) / present.clamp(min=1)
    return torch.where(present > 0, scores, torch.ones_like(scores))
