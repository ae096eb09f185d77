"""Measure what a base model has learnt: point and box prompts on held-out scenes."""

from collections.abc import Mapping

import torch

from naslora_core.data.synthetic.scenes import SceneGenerator
from naslora_core.pretraining.model import answer_boxes, answer_points, encode, mask_iou
from naslora_core.pretraining.scenes import PromptedSceneDataset
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import Sam
from naslora_core.sam.precision import autocast

HELD_OUT_SEED = 990_001


@torch.no_grad()
def evaluate_prompts(
    sam: Sam,
    scene_count: int = 200,
    min_area_share: float = 0.003,
    precision: str = "auto",
    progress: Progress = silent,
) -> Mapping[str, float]:
    """Return the mean IoU of single-prompt segmentation on scenes of a seed that training never uses.

    Four objects a scene are prompted, each once with its innermost point and once with its exact box.
    "single" is the answer of the single-mask token, "best" the guess the model itself rates highest,
    and "oracle" the best of the three guesses.

    Args:
        scene_count: number of scenes, a multiple of 10.

    Returns:
        {"point_single", "point_best", "point_oracle", "box_single", "box_best", "box_oracle"}, each 0..1.

    Source: arXiv:2304.02643, section 7.1 (single-point evaluation, oracle).
    """
    generator = SceneGenerator(HELD_OUT_SEED, sam.image_encoder.img_size, min_area_share)
    batches = PromptedSceneDataset(generator, scene_count // 10, 10, prompts=4, centred=True, jitter_px=0)
    collected: dict[str, list[torch.Tensor]] = {}
    for index in range(len(batches)):
        batch = batches[index]
        masks = batch.masks.flatten(0, 1)
        with autocast(precision, sam.device):
            embeddings = encode(sam, batch.images)
            answers = {
                "point": answer_points(sam, embeddings, batch.points),
                "box": answer_boxes(sam, embeddings, batch.boxes),
            }
        for kind, answer in answers.items():
            iou = mask_iou(answer.low_res_masks, masks)
            guesses = iou[:, 1:]
            rated_best = answer.iou_predictions[:, 1:].argmax(dim=1, keepdim=True)
            collected.setdefault(f"{kind}_single", []).append(iou[:, 0])
            collected.setdefault(f"{kind}_best", []).append(guesses.gather(1, rated_best)[:, 0])
            collected.setdefault(f"{kind}_oracle", []).append(guesses.amax(dim=1))
        progress(index + 1, len(batches), "held-out scenes")
    return {name: float(torch.cat(parts).mean()) for name, parts in collected.items()}
