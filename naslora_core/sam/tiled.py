"""Segment an image of any size part by part, at the scale the model was trained at, and blend the logits."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from naslora_core.config import Flips
from naslora_core.geometry.tiling import Stitcher, Tiling
from naslora_core.sam.inference import OVERLAP, mean_over_flips
from naslora_core.sam.precision import autocast
from naslora_core.sam.segmenter import PromptFreeSegmenter, segment_in_turns
from naslora_core.sam.square import fit_into_square, window_side

_BATCH_SIZE = 8


def tiled_logits(
    segmenter: PromptFreeSegmenter,
    image: np.ndarray,
    scale: float,
    precision: str,
    overlap: float = OVERLAP,
    flips: Flips = "none",
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the mask logits of an image from top to bottom; one row of parts is in memory at a time.

    Args:
        segmenter: on any device.
        image: (H, W, 3) uint8.
        scale: pixels of the model's input for one of the image; so near to it that a part is a number of pixels.
        precision: "auto", "fp32" or "bf16".
        overlap: share of a part, 0..0.5, that its neighbour covers at least.
        flips: of every part, see `Inference`.

    Yields:
        The number of the first row, and logits (K, n, W) float32 of it and the next ones.
    """
    side = window_side(segmenter.image_size, scale)
    tiling = Tiling((image.shape[0], image.shape[1]), side, overlap)
    stitcher = Stitcher(tiling, most=None)

    def logits_of(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [logits.numpy() for logits in square_logits(segmenter, parts, segmenter.image_size / side, precision)]

    for start in range(0, len(tiling.tiles), _BATCH_SIZE):
        parts = [tile.cut(image) for tile in tiling.tiles[start : start + _BATCH_SIZE]]
        for logits in mean_over_flips(logits_of, parts, flips):
            if (complete := stitcher.add(logits)) is not None:
                yield complete


@torch.no_grad()
def square_logits(
    segmenter: PromptFreeSegmenter, images: Sequence[np.ndarray], scale: float, precision: str
) -> list[Tensor]:
    """Return the logits (K, H, W) float32, on the CPU and at its own size, of every image that fits the input.

    Args:
        segmenter: on any device.
        images: each (H, W, 3) uint8.
        scale: as in `tiled_logits`.
        precision: "auto", "fp32" or "bf16".
    """
    device, side = segmenter.sam.device, segmenter.image_size
    squares = [fit_into_square(image, side, scale) for image in images]
    batch = torch.from_numpy(np.stack([square for square, _ in squares])).to(device).permute(0, 3, 1, 2)
    with autocast(precision, device):
        low_res_masks = segment_in_turns(segmenter, batch)
    logits = segmenter.upscale(low_res_masks)
    found = []
    for row, image, (_, (height, width)) in zip(logits, images, squares, strict=True):
        inside = row[None, :, :height, :width]
        if inside.shape[2:] != image.shape[:2]:
            inside = F.interpolate(inside, size=image.shape[:2], mode="bilinear", align_corners=False)
        found.append(inside[0].cpu())
    return found


def to_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits (K, ..., H, W) float32: (H, W) of one class, else (K, H, W)."""
    values = torch.from_numpy(logits)
    if len(values) == 1:
        return values[0].sigmoid().numpy()
    # The background's logit is zero.
    return F.pad(values, (0, 0, 0, 0, 1, 0)).softmax(dim=0)[1:].numpy()
