"""Dice on prepared data, the score by which training picks its best epoch and a merge is judged."""

import torch
from torch import Tensor

from naslora_core.data.prepared.batches import make_batch
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.sam.precision import autocast
from naslora_core.sam.segmenter import PromptFreeSegmenter, predicted_classes
from naslora_core.training.processes import Processes


@torch.no_grad()
def mean_dice(
    segmenter: PromptFreeSegmenter,
    data: PreparedData,
    precision: str,
    batch_size: int = 8,
    processes: Processes | None = None,
) -> float:
    """Return the mean over images of the Dice score at the model's input size, without the padding.

    With several classes an image's score is the mean over those that its mask or its prediction contains.
    Two empty masks agree: 1. The stage `evaluate` measures at the images' own size instead. `processes` divide the
    images among them.
    """
    device = segmenter.sam.device
    processes = processes or Processes()
    share, weight = processes.share(len(data))
    rows, scores = range(len(data))[share], []
    for start in range(0, len(rows), batch_size):
        batch = make_batch(data, rows[start : start + batch_size])
        with autocast(precision, device):
            logits = segmenter.upscale(segmenter(batch.images.to(device))).cpu()
        scores.append(_dice(predicted_classes(logits), batch.masks, batch.valid > 0, logits.shape[1]))
    return processes.mean(torch.cat(scores), weight)


def _dice(found: Tensor, wanted: Tensor, valid: Tensor, classes: int) -> Tensor:
    """Return the score of every image, (B,), of class ids (B, 1, S, S)."""
    ids = torch.arange(1, classes + 1).view(1, -1, 1, 1)
    hits, truths = (found == ids) & valid, (wanted == ids) & valid  # (B, K, S, S)
    overlap = 2.0 * (hits & truths).sum((2, 3))
    sizes = hits.sum((2, 3)) + truths.sum((2, 3))
    present = (sizes > 0).sum(dim=1)
    scores = (overlap / sizes.clamp(min=1)).sum(dim=1) / present.clamp(min=1)
    return torch.where(present > 0, scores, torch.ones_like(scores))
