"""Evaluate a base model on a domain's images with one prompt per image."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from naslora_core.data.dataset.dataset import Dataset
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.data.dataset.ignored import is_foreground, without_ignored
from naslora_core.errors import DataError
from naslora_core.pretraining.evaluate import PromptScores, answer_both
from naslora_core.pretraining.scenes import bounding_box, innermost_point
from naslora_core.progress import Progress, silent, with_progress
from naslora_core.sam.build import Sam
from naslora_core.sam.square import fit_into_square


@torch.no_grad()
def evaluate_domain(
    sam: Sam, dataset: Dataset, split: str = "test", precision: str = "auto", progress: Progress = silent
) -> Mapping[str, float]:
    """Return the mean IoU, over the images of a split, of the mask for one prompt.

    All foreground of an image, of whatever class, is one object; it is prompted with its innermost point and
    with its exact box. IoU is measured at the image's own size, on the pixels that somebody labelled. Images
    without foreground cannot be prompted and are left out.

    Returns:
        What `PromptScores.means` says of the kinds "point" and "box".

    Raises:
        DataError: if no image of the split has any foreground.
    """
    scores = PromptScores()
    pairs = dataset.of_split(split)
    for pair in with_progress(pairs, progress, f"{split} images of {dataset.card.name}"):
        image, ids = read_pair(pair, dataset.card)
        mask, ignored = is_foreground(ids), without_ignored(ids)[1]
        if mask.any():
            _score(sam, image, mask, ignored, precision, scores)
    means = scores.means()
    if not means:
        raise DataError(f"{dataset.root} has no {split} image with foreground, so there is nothing to prompt")
    return means


def _score(
    sam: Sam, image: np.ndarray, mask: np.ndarray, ignored: np.ndarray | None, precision: str, scores: PromptScores
) -> None:
    side = int(sam.image_encoder.img_size)
    square, (height, width) = fit_into_square(image, side)
    scale = np.array([width / image.shape[1], height / image.shape[0]])
    # A point names the middle of a pixel, the sides of a box lie between pixels.
    point = (innermost_point(mask) + 0.5) * scale - 0.5
    box = bounding_box(mask) * np.tile(scale, 2)
    answers = answer_both(
        sam,
        torch.from_numpy(square).permute(2, 0, 1)[None],
        torch.tensor(point, dtype=torch.float32)[None, None],
        torch.tensor(box, dtype=torch.float32)[None, None],
        precision,
    )
    wanted = torch.from_numpy(mask)[None, None]
    for kind, answer in answers.items():
        found = _at_size(answer.low_res_masks, side, (height, width), image.shape[:2]) > 0
        if ignored is not None:
            found &= torch.from_numpy(~ignored)
        iou = (found & wanted).sum((-2, -1)) / (found | wanted).sum((-2, -1))
        scores.add(kind, iou, answer.iou_predictions)


def _at_size(low_res_masks: Tensor, side: int, input_size: tuple[int, int], original_size: tuple[int, ...]) -> Tensor:
    """Return logits (1, T, H, W) at the image's own size, without the padding."""
    square = F.interpolate(low_res_masks, size=(side, side), mode="bilinear", align_corners=False)
    shown = square[..., : input_size[0], : input_size[1]]
    return F.interpolate(shown, size=original_size, mode="bilinear", align_corners=False)
