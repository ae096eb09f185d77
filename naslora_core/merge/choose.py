"""Choose the merge mode: the one with the lowest inference cost that keeps the validation Dice."""

from collections.abc import Callable
from dataclasses import dataclass

from naslora_core.config import MergeConfig, Section
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import MergeError
from naslora_core.merge.calibrated import calibrate
from naslora_core.merge.exact import exact
from naslora_core.merge.fold import fold
from naslora_core.merge.layers import Merged
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.validation import mean_dice


@dataclass(frozen=True)
class MergeContext:
    """The inputs of a merge beside the adapted model."""

    training: PreparedData
    config: MergeConfig
    progress: Progress = silent


# In the order of what they cost at inference, and in making; "auto" tries them in this order.
MERGES: dict[str, Callable[[Sam, MergeContext], Merged]] = {
    "exact": lambda sam, _: exact(sam),
    "calibrated": lambda sam, context: calibrate(
        sam, context.training, context.config.calibration_images, context.config.ridge, context.progress
    ),
    "fold": lambda sam, _: fold(sam),
}


class Attempt(Section):
    """One tried merge, and its validation Dice.

    Attributes:
        validation_dice: of the merged model; None where the merge is impossible.
        metric_drop: by how much this is less than the adapted model's.
        message: these numbers in words, or why the merge is impossible.
    """

    mode: str
    validation_dice: float | None
    metric_drop: float | None
    passed: bool
    message: str


@dataclass(frozen=True)
class Choice:
    """The chosen merge, and the reason.

    Attributes:
        validation_dice_before: of the adapted model.
        validation_dice_after: of the merged one.
    """

    mode: str
    merged: Merged
    reason: str
    attempts: list[Attempt]
    validation_dice_before: float
    validation_dice_after: float


def choose(sam: Sam, validation: PreparedData, context: MergeContext) -> Choice:
    """Merge as `merge.mode` says; "auto" takes the first of `MERGES` within `merge.max_metric_drop`.

    Raises:
        MergeError: if the named merge, or with "auto" every one, is impossible or loses too much.
    """
    config = context.config
    before = mean_dice(PromptFreeSegmenter(sam).eval(), validation, "fp32")
    attempts: list[Attempt] = []
    for mode in MERGES if config.mode == "auto" else [config.mode]:
        try:
            merged = MERGES[mode](sam, context)
        except MergeError as error:
            if config.mode != "auto":
                raise
            attempts.append(
                Attempt(mode=mode, validation_dice=None, metric_drop=None, passed=False, message=str(error))
            )
            continue
        after = mean_dice(PromptFreeSegmenter(merged.sam).eval(), validation, "fp32")
        attempts.append(_measured(mode, before, after, config.max_metric_drop))
        if attempts[-1].passed:
            return Choice(mode, merged, _reason(attempts, config), attempts, before, after)
    raise MergeError(_refusal(attempts, before, config))


def _measured(mode: str, before: float, after: float, allowed: float) -> Attempt:
    return Attempt(
        mode=mode,
        validation_dice=after,
        metric_drop=before - after,
        passed=before - after <= allowed,
        message=f"validation Dice is {before:.4f} before it and {after:.4f} after it",
    )


def _reason(attempts: list[Attempt], config: MergeConfig) -> str:
    *failed, chosen = attempts
    if config.mode != "auto":
        return f"merge.mode asks for {chosen.mode}; {chosen.message}."
    others = f" ({_in_short(failed)})" if failed else ""
    return (
        f"{chosen.mode} costs least at inference of all that lower validation Dice by at most {config.max_metric_drop}"
        f"{others}; {chosen.message}."
    )


def _refusal(attempts: list[Attempt], before: float, config: MergeConfig) -> str:
    if config.mode != "auto":
        return (
            f"merge.mode {config.mode} lowers validation Dice from {before:.4f} to {attempts[0].validation_dice:.4f}, "
            f"more than merge.max_metric_drop {config.max_metric_drop}; choose another merge.mode or allow more"
        )
    return (
        f"merge.mode auto found no merge that lowers validation Dice {before:.4f} by no more than "
        f"merge.max_metric_drop {config.max_metric_drop}: {_in_short(attempts)}. Allow a larger drop, or train with a "
        "search.space of linear operations, or with search.pointwise_pressure above 0"
    )


def _in_short(attempts: list[Attempt]) -> str:
    return ", ".join(
        f"{attempt.mode} is impossible"
        if attempt.metric_drop is None
        else f"{attempt.mode} would lose {attempt.metric_drop:.4f}"
        for attempt in attempts
    )
