"""The certificate of a merge: measured differences between the adapted and the merged model."""

from functools import partial
from typing import Any

import torch
from pydantic import Field

from naslora_core.config import Section
from naslora_core.data.prepared.batches import make_batch
from naslora_core.data.prepared.crops import as_squares
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.merge.by_layer import LayerMerge
from naslora_core.merge.choose import Choice
from naslora_core.merge.context import Attempt
from naslora_core.merge.threshold import ThresholdChoice, choose_threshold
from naslora_core.sam.build import Sam
from naslora_core.sam.detail import detail_of, without_detail
from naslora_core.sam.segmenter import PromptFreeSegmenter, count_parameters, predict_low_res, predicted_classes
from naslora_core.timing import alternate, median
from naslora_core.validation import mean_dice

# Rounds, of which the median is taken.
_TIMED = 3


class Certificate(Section):
    """Measured differences between the adapted and the merged model, on the validation split, in float32.

    Attributes:
        mode: how the model was merged: exact, calibrated, fold, or mixed.
        reason: why in this way, in one sentence.
        attempts: every merge that was tried for it, the chosen one last.
        images: number of images, or parts of whole ones, whose logits and masks were compared.
        max_logit_difference: largest absolute difference of low-resolution mask logits.
        relative_logit_difference: the same, over the largest absolute logit.
        mask_agreement: share of pixels of the same class.
        parameters: of base, adapted and merged model.
        validation_dice_without_detail: of the merged model when its detail path is left out, as `export sam` does;
            None if it has none.
        layers: how each adapted layer was merged; empty in certificates of earlier versions.
        threshold: above which probability a pixel best counts as foreground; None for several classes.
    """

    mode: str
    reason: str
    attempts: list[Attempt]
    images: int
    max_logit_difference: float
    relative_logit_difference: float
    mask_agreement: float = Field(ge=0, le=1)
    validation_dice_before: float
    validation_dice_after: float
    max_metric_drop: float
    parameters: dict[str, int]
    passed: bool
    validation_dice_without_detail: float | None = None
    threshold: ThresholdChoice | None = None
    layers: list[LayerMerge] = Field(default_factory=list)

    def notes(self) -> dict[str, Any]:
        """Return the certificate as certificate.json holds it; of a model without detail path, with no word of it."""
        left_out = {"validation_dice_without_detail"} if self.validation_dice_without_detail is None else None
        return self.model_dump(exclude=left_out)


def certify(choice: Choice, base: Sam, adapted: Sam, validation: PreparedData, max_metric_drop: float) -> Certificate:
    """Compare a merged model with the adapted model and the base; all three are on one device."""
    before_merge, after_merge = choice.segmenter(adapted), choice.segmenter(choice.merged.sam)
    # A rounding difference needs no larger sample than this.
    squares = as_squares(validation)
    count = min(len(squares), 64)
    images = make_batch(squares, range(count)).images.to(adapted.device)
    before, after = (predict_low_res(segmenter, images) for segmenter in (before_merge, after_merge))
    difference = float((before - after).abs().max())
    return Certificate(
        mode=choice.mode,
        reason=choice.reason,
        attempts=choice.attempts,
        images=count,
        max_logit_difference=difference,
        relative_logit_difference=difference / max(float(before.abs().max()), 1e-12),
        mask_agreement=float((predicted_classes(before) == predicted_classes(after)).float().mean()),
        validation_dice_before=choice.validation_dice_before,
        validation_dice_after=choice.validation_dice_after,
        max_metric_drop=max_metric_drop,
        parameters={name: count_parameters(sam) for name, sam in _models(choice, base, adapted).items()},
        passed=choice.attempts[-1].passed,
        validation_dice_without_detail=_dice_without_detail(after_merge, validation),
        threshold=choose_threshold(after_merge, validation),
        layers=choice.merged.layers,
    )


@torch.no_grad()
def seconds_per_image(choice: Choice, base: Sam, adapted: Sam, validation: PreparedData) -> dict[str, float]:
    """Return the median time of encoder and decoder by model, alternating between the models in one run.

    It is no part of the certificate, which is the same whenever and wherever the same model is merged.
    """
    image = make_batch(as_squares(validation), range(1)).images.to(adapted.device)
    models = _models(choice, base, adapted)
    segmenters = {name: PromptFreeSegmenter(sam).eval() for name, sam in models.items()}
    # An accelerator answers before it is done; the copy waits for it.
    runs = {
        name: partial(lambda segmenter: segmenter(image).cpu(), segmenter) for name, segmenter in segmenters.items()
    }
    return {name: median(seconds)[0] for name, seconds in alternate(runs, repeats=_TIMED).items()}


def _dice_without_detail(segmenter: PromptFreeSegmenter, validation: PreparedData) -> float | None:
    if detail_of(segmenter.sam) == "off":
        return None
    with without_detail(segmenter.sam):
        return mean_dice(segmenter, validation, "fp32")


def _models(choice: Choice, base: Sam, adapted: Sam) -> dict[str, Sam]:
    return {"base": base, "adapted": adapted, "merged": choice.merged.sam}
