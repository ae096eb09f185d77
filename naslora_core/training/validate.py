"""Dice on prepared data, the score by which training picks its best epoch and a merge is judged."""

import torch

from naslora_core.data.preprocess import PreparedData
from naslora_core.sam.precision import autocast
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.batches import make_batch


@torch.no_grad()
def mean_dice(segmenter: PromptFreeSegmenter, data: PreparedData, precision: str, batch_size: int = 8) -> float:
    """Return the mean over images of the Dice score at the model's input size, without the padding.

    Two empty masks agree: 1. The stage `evaluate` measures at the images' own size instead.
    """
    device = segmenter.sam.device
    scores = []
    for start in range(0, len(data), batch_size):
        batch = make_batch(data, range(start, min(start + batch_size, len(data))))
        with autocast(precision, device):
            logits = segmenter.upscale(segmenter(batch.images.to(device))).cpu()
        found = (logits > 0) & (batch.valid > 0)
        wanted = (batch.masks > 0) & (batch.valid > 0)
        overlap = 2.0 * (found & wanted).sum((1, 2, 3))
        sizes = found.sum((1, 2, 3)) + wanted.sum((1, 2, 3))
        scores.append(torch.where(sizes > 0, overlap / sizes.clamp(min=1), torch.ones_like(overlap)))
    return float(torch.cat(scores).mean())
