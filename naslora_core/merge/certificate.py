"""What a merge changed, measured."""

import statistics
import time
from collections.abc import Mapping

import torch
from pydantic import Field

from naslora_core.config import Section
from naslora_core.data.preprocess import PreparedData
from naslora_core.errors import MergeError
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import PromptFreeSegmenter, count_parameters, predict_low_res
from naslora_core.training.validate import mean_dice


class Certificate(Section):
    """The adapted and the merged model side by side, on the validation split, in float32.

    Attributes:
        max_logit_difference: largest absolute difference of low-resolution mask logits.
        relative_logit_difference: the same, over the largest absolute logit.
        mask_agreement: share of pixels on the same side of the threshold.
        parameters: of base, adapted and merged model.
        seconds_per_image: median of the encoder and decoder, alternating between the models in one run.
    """

    mode: str
    images: int
    max_logit_difference: float
    relative_logit_difference: float
    mask_agreement: float = Field(ge=0, le=1)
    validation_dice_before: float
    validation_dice_after: float
    max_metric_drop: float
    parameters: dict[str, int]
    seconds_per_image: dict[str, float]
    passed: bool


def certify(
    mode: str, base: Sam, adapted: Sam, merged: Sam, validation: PreparedData, max_metric_drop: float
) -> Certificate:
    """Compare a merged model with what it was merged from.

    Raises:
        MergeError: if the merge costs more validation Dice than `max_metric_drop`.
    """
    segmenters = {name: PromptFreeSegmenter(sam).eval() for name, sam in _named(base, adapted, merged).items()}
    # Every image would be no better a sample of a difference that is rounding, only a longer wait.
    count = min(len(validation), 64)
    images = torch.from_numpy(validation.images[:count].copy()).permute(0, 3, 1, 2)
    before, after = (predict_low_res(segmenters[name], images) for name in ("adapted", "merged"))
    difference = float((before - after).abs().max())
    dice_before = mean_dice(segmenters["adapted"], validation, "fp32")
    dice_after = mean_dice(segmenters["merged"], validation, "fp32")
    certificate = Certificate(
        mode=mode,
        images=count,
        max_logit_difference=difference,
        relative_logit_difference=difference / max(float(before.abs().max()), 1e-12),
        mask_agreement=float(((before > 0) == (after > 0)).float().mean()),
        validation_dice_before=dice_before,
        validation_dice_after=dice_after,
        max_metric_drop=max_metric_drop,
        parameters={name: count_parameters(segmenter) for name, segmenter in segmenters.items()},
        seconds_per_image=_time_alternately(segmenters, images[:1]),
        passed=dice_before - dice_after <= max_metric_drop,
    )
    if not certificate.passed:
        raise MergeError(
            f"merge.mode {mode} lowers validation Dice from {dice_before:.4f} to {dice_after:.4f}, more than "
            f"merge.max_metric_drop {max_metric_drop}; choose another merge.mode or allow a larger drop"
        )
    return certificate


def _named(base: Sam, adapted: Sam, merged: Sam) -> dict[str, Sam]:
    return {"base": base, "adapted": adapted, "merged": merged}


@torch.no_grad()
def _time_alternately(
    segmenters: Mapping[str, PromptFreeSegmenter], image: torch.Tensor, repeats: int = 9
) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in segmenters}
    for repeat in range(repeats + 1):
        for name, segmenter in segmenters.items():
            started = time.perf_counter()
            segmenter(image)
            # The first round warms caches up and does not count.
            if repeat:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}
