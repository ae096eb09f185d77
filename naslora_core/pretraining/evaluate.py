"""Evaluate a base model on held-out scenes with point and box prompts."""

from collections.abc import Mapping

import torch
from torch import Tensor

from naslora_core.data.synthetic.scenes import SceneGenerator
from naslora_core.pretraining.model import PromptedMasks, answer_boxes, answer_points, encode, mask_iou
from naslora_core.pretraining.scenes import PromptedSceneDataset
from naslora_core.progress import Progress, silent, with_progress
from naslora_core.sam.build import Sam
from naslora_core.sam.precision import autocast

HELD_OUT_SEED = 990_001
HELD_OUT_SCENES = 200
HELD_OUT_MIN_AREA_SHARE = 0.001
SCENES_A_BATCH = 10


class PromptScores:
    """Averages the IoU of predicted masks by kind of prompt.

    "single" is the answer of the single-mask token, "best" the guess the model itself rates highest, and
    "oracle" the best of the three guesses.

    Source: arXiv:2304.02643, section 7.1 (single-point evaluation, oracle).
    """

    def __init__(self) -> None:
        self._collected: dict[str, list[Tensor]] = {}

    def add(self, kind: str, iou: Tensor, iou_predictions: Tensor) -> None:
        """Add the masks of R prompts of one kind; both arguments are (R, 4), token 0 being the single mask."""
        guesses = iou[:, 1:]
        rated_best = iou_predictions[:, 1:].argmax(dim=1, keepdim=True)
        for how, values in (
            ("single", iou[:, 0]),
            ("best", guesses.gather(1, rated_best)[:, 0]),
            ("oracle", guesses.amax(dim=1)),
        ):
            self._collected.setdefault(f"{kind}_{how}", []).append(values)

    def means(self) -> Mapping[str, float]:
        """Return the mean over all prompts of each kind, 0..1, as {"point_single": ..., "box_oracle": ...}."""
        return {name: float(torch.cat(parts).mean()) for name, parts in self._collected.items()}


@torch.no_grad()
def evaluate_prompts(
    sam: Sam, scene_count: int = HELD_OUT_SCENES, precision: str = "auto", progress: Progress = silent
) -> Mapping[str, float]:
    """Return the mean IoU of single-prompt segmentation on scenes of a seed that training never uses.

    Four objects or parts of a scene are prompted, each once with its innermost point and once with its exact box.

    Args:
        sam: in evaluation mode.
        scene_count: number of scenes, a multiple of `SCENES_A_BATCH`.
        precision: as `autocast` takes it.
        progress: called after each batch.

    Returns:
        What `PromptScores.means` says of the kinds "point" and "box".
    """
    generator = SceneGenerator(HELD_OUT_SEED, sam.image_encoder.img_size, HELD_OUT_MIN_AREA_SHARE)
    count = scene_count // SCENES_A_BATCH
    batches = PromptedSceneDataset(generator, count, SCENES_A_BATCH, prompts=4, centred=True, jitter=0)
    scores = PromptScores()
    for index in with_progress(range(count), progress, "held-out scenes"):
        batch = batches[index]
        masks = batch.masks.flatten(0, 1)
        for kind, answer in answer_both(sam, batch.images, batch.points, batch.boxes, precision).items():
            scores.add(kind, mask_iou(answer.low_res_masks, masks), answer.iou_predictions)
    return scores.means()


def answer_both(sam: Sam, images: Tensor, points: Tensor, boxes: Tensor, precision: str) -> Mapping[str, PromptedMasks]:
    """Return the masks for the points and for the boxes of images (B, 3, S, S); both are XY pixels of the input."""
    with autocast(precision, sam.device):
        embeddings = encode(sam, images)
        return {
            "point": answer_points(sam, embeddings, points),
            "box": answer_boxes(sam, embeddings, boxes),
        }
