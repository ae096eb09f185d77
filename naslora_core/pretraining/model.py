"""Run a SAM on prompted scenes, and compare its masks with the objects."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from naslora_core.errors import ConfigError
from naslora_core.pretraining.scenes import PromptedScenes
from naslora_core.sam.build import Sam, normalise
from naslora_core.sam.decode import decode_masks

Origin = tuple[int, int]


@dataclass(frozen=True)
class PromptedMasks:
    """The masks that a SAM predicts for R prompts with its T mask tokens.

    Attributes:
        low_res_masks: (R, T, h, w), mask logits; token 0 is the single answer, the others are three guesses.
        iou_predictions: (R, T).
    """

    low_res_masks: Tensor
    iou_predictions: Tensor


def answer_points(sam: Sam, image_embeddings: Tensor, points: Tensor, origin: Origin = (0, 0)) -> PromptedMasks:
    """Decode one foreground point a row.

    Args:
        sam: the model.
        image_embeddings: (B, C, h, w), of whole inputs or of parts of them.
        points: (B, P, 2), XY pixels of the images; row r of the answer is scene r // P.
        origin: row and column of the images within the model's input, in pixels.
    """
    coordinates = points.flatten(0, 1)[:, None] + points.new_tensor(origin[::-1])
    labels = torch.ones(coordinates.shape[:2], device=points.device)
    return _answer(
        sam, image_embeddings, points.shape[1], sam.prompt_encoder((coordinates, labels), None, None), origin
    )


def answer_boxes(sam: Sam, image_embeddings: Tensor, boxes: Tensor, origin: Origin = (0, 0)) -> PromptedMasks:
    """Decode one box a row; boxes are (B, P, 4), XYXY pixels, the rest as in `answer_points`."""
    moved = boxes.flatten(0, 1) + boxes.new_tensor(origin[::-1]).repeat(2)
    encoded = sam.prompt_encoder(None, moved, None)
    return _answer(sam, image_embeddings, boxes.shape[1], encoded, origin)


def _answer(
    sam: Sam, image_embeddings: Tensor, prompts: int, encoded: tuple[Tensor, Tensor], origin: Origin
) -> PromptedMasks:
    sparse, dense = encoded
    height, width = image_embeddings.shape[-2:]
    row, column = _in_patches(sam, origin)
    part = (..., slice(row, row + height), slice(column, column + width))
    repeated = image_embeddings.repeat_interleave(prompts, dim=0)
    image_pe = sam.prompt_encoder.get_dense_pe()
    masks, quality = decode_masks(sam.mask_decoder, repeated, image_pe[part], sparse, dense[part])
    return PromptedMasks(masks.float(), quality.float())


def encode(sam: Sam, images: Tensor, origin: Origin = (0, 0)) -> Tensor:
    """Return image embeddings (B, C, h, w) of uint8 images (B, 3, S, S).

    Images smaller than the model's input are seen as a part of it, `origin` being their upper left corner.

    Raises:
        ConfigError: if the model is of another family than the original SAM.
    """
    if sam.family != "sam":
        raise ConfigError(
            f"naslora pretrain trains and measures the original SAM with points and boxes, and this model is a "
            f"{sam.family}; to measure it without prompts, train it with adapter.method none and run stage evaluate"
        )
    encoder = sam.image_encoder
    tokens = encoder.patch_embed(normalise(sam, images))  # (B, h, w, C)
    row, column = _in_patches(sam, origin)
    positions = encoder.pos_embed[:, row : row + tokens.shape[1], column : column + tokens.shape[2]]
    return encoder.encode_tokens(tokens + positions)


def _in_patches(sam: Sam, origin: Origin) -> Origin:
    patch = sam.image_encoder.img_size // sam.image_encoder.pos_embed.shape[1]
    return origin[0] // patch, origin[1] // patch


def prompt_loss(answer: PromptedMasks, masks: Tensor) -> Tensor:
    """Return the loss of one kind of prompt.

    The single answer learns from every prompt; of the three guesses only the best does, so that they
    specialise. Mask loss: 20 focal + dice; quality loss: squared error of the predicted IoU.

    Args:
        masks: (R, S, S) bool, the prompted objects.

    Source: arXiv:2304.02643, Appendix A, "Training algorithm" (here without iterative prompts).
    """
    size = answer.low_res_masks.shape[-2:]
    target = F.interpolate(masks[:, None].float(), size=size, mode="area").expand_as(answer.low_res_masks)
    losses = 20 * _focal(answer.low_res_masks, target) + _dice(answer.low_res_masks, target)
    with torch.no_grad():
        found = answer.low_res_masks > 0
        wanted = target > 0.5
        iou = (found & wanted).sum((-2, -1)) / (found | wanted).sum((-2, -1)).clamp(min=1)
    quality = F.mse_loss(answer.iou_predictions, iou)
    return losses[:, 0].mean() + losses[:, 1:].amin(dim=1).mean() + quality


def _focal(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    # |target - p| ** gamma is focal loss's weight when the target is a share of a pixel, not 0 or 1.
    error = (target - logits.sigmoid()).abs()
    return (error**gamma * F.binary_cross_entropy_with_logits(logits, target, reduction="none")).mean((-2, -1))


def _dice(logits: Tensor, target: Tensor) -> Tensor:
    probability = logits.sigmoid()
    overlap = (probability * target).sum((-2, -1))
    return 1 - (2 * overlap + 1) / (probability.sum((-2, -1)) + target.sum((-2, -1)) + 1)


def mask_iou(low_res_masks: Tensor, masks: Tensor) -> Tensor:
    """Return the IoU of every token's mask with its object, (R, T), at the objects' resolution.

    Args:
        low_res_masks: (R, T, h, w), logits.
        masks: (R, S, S) bool, none of them empty.
    """
    found = F.interpolate(low_res_masks, size=masks.shape[-2:], mode="bilinear", align_corners=False) > 0
    wanted = masks[:, None]
    return (found & wanted).sum((-2, -1)) / (found | wanted).sum((-2, -1))


def scene_loss(sam: Sam, scenes: PromptedScenes) -> Tensor:
    """Return the loss of a batch: the first half of the prompts as points, the second as boxes."""
    half = scenes.masks.shape[1] // 2
    embeddings = encode(sam, scenes.images, scenes.origin)
    by_point = answer_points(sam, embeddings, scenes.points[:, :half], scenes.origin)
    by_box = answer_boxes(sam, embeddings, scenes.boxes[:, half:], scenes.origin)
    return prompt_loss(by_point, scenes.masks[:, :half].flatten(0, 1)) + prompt_loss(
        by_box, scenes.masks[:, half:].flatten(0, 1)
    )
