"""Validation Dice on prepared data, by which training selects its best epoch and a merge is accepted."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from naslora_core.data.prepared.batches import make_batch
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.sam.precision import autocast
from naslora_core.sam.segmenter import PromptFreeSegmenter, predicted_classes
from naslora_core.sam.tiled import tiled_logits

_BATCH_SIZE = 8
# Of the parts of whole images, wherever epochs or merges are compared.
_LEAST_OVERLAP = 0.125


def mean_dice(segmenter: PromptFreeSegmenter, data: PreparedData, precision: str) -> float:
    """Return the mean over images of what `dice_per_image` returns."""
    return float(dice_per_image(segmenter, data, range(len(data)), precision).mean())


@torch.inference_mode()
def dice_per_image(segmenter: PromptFreeSegmenter, data: PreparedData, rows: Sequence[int], precision: str) -> Tensor:
    """Return the Dice score of some images at the model's input size, without padding and ignored pixels, (len(rows),).

    With several classes an image's score is the mean over those that its mask or its prediction contains.
    Two empty masks agree: 1. Whole images are segmented part by part, and measured at their own size. The stage
    `evaluate` always does that.
    """
    if data.scale is not None:
        return torch.stack([_tiled_dice(segmenter, data, row, precision) for row in rows])
    device = segmenter.sam.device
    scores = []
    for start in range(0, len(rows), _BATCH_SIZE):
        batch = make_batch(data, rows[start : start + _BATCH_SIZE])
        with autocast(precision, device):
            logits = segmenter.upscale(segmenter(batch.images.to(device))).cpu()
        scores.append(_dice(predicted_classes(logits), batch.masks, batch.valid > 0, logits.shape[1]))
    return torch.cat(scores)


@torch.no_grad()
def foreground_logits(
    segmenter: PromptFreeSegmenter, data: PreparedData, precision: str
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield the logits of the labelled pixels of every image, as `dice_per_image` sees them; for one class.

    Yields:
        The number of an image, the logits (P,) float32 of pixels of it, and whether these are foreground, (P,) bool.
        A large image comes in several pieces.
    """
    device = segmenter.sam.device
    for start in range(0, len(data), 1 if data.scale else _BATCH_SIZE):
        if data.scale is not None:
            for top, logits in tiled_logits(segmenter, data.images[start], data.scale, precision, _LEAST_OVERLAP):
                ids = data.masks[start][top : top + logits.shape[1]]
                yield start, logits[0][ids <= 1], ids[ids <= 1] > 0
            continue
        batch = make_batch(data, range(len(data))[start : start + _BATCH_SIZE])
        with autocast(precision, device):
            found = segmenter.upscale(segmenter(batch.images.to(device))).cpu()
        for row, (logits, mask, valid) in enumerate(zip(found, batch.masks, batch.valid > 0, strict=True), start):
            yield row, logits[valid].numpy(), (mask[valid] > 0).numpy()


def _tiled_dice(segmenter: PromptFreeSegmenter, data: PreparedData, row: int, precision: str) -> Tensor:
    assert data.scale is not None
    classes, counts = len(data.classes), torch.zeros(3, 1, len(data.classes), dtype=torch.int64)
    for top, logits in tiled_logits(segmenter, data.images[row], data.scale, precision, _LEAST_OVERLAP):
        ids = torch.from_numpy(np.array(data.masks[row][top : top + logits.shape[1]]))[None, None]
        counts += _pixels(predicted_classes(torch.from_numpy(logits)[None]), ids, ids <= classes, classes)
    return _score(counts)[0]


def _dice(found: Tensor, wanted: Tensor, valid: Tensor, classes: int) -> Tensor:
    """Return the score of every image, (B,), of class ids (B, 1, S, S)."""
    return _score(_pixels(found, wanted, valid, classes))


def _pixels(found: Tensor, wanted: Tensor, valid: Tensor, classes: int) -> Tensor:
    """Return how many pixels both have, how many are found and how many wanted, (3, B, K)."""
    ids = torch.arange(1, classes + 1).view(1, -1, 1, 1)
    hits, truths = (found == ids) & valid, (wanted == ids) & valid  # (B, K, S, S)
    return torch.stack([(hits & truths).sum((2, 3)), hits.sum((2, 3)), truths.sum((2, 3))])


def _score(counts: Tensor) -> Tensor:
    overlap, sizes = 2.0 * counts[0], counts[1] + counts[2]
    present = (sizes > 0).sum(dim=1)
    scores = (overlap / sizes.clamp(min=1)).sum(dim=1) / present.clamp(min=1)
    return torch.where(present > 0, scores, torch.ones_like(scores))
