"""Choose how to merge: with the lowest inference cost that keeps the validation Dice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from naslora_core.adapted.state import find_adapters
from naslora_core.config import MergeConfig
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import MergeError
from naslora_core.merge.by_layer import LayerMerge, count_modes, total_mode
from naslora_core.merge.calibrated import calibrate
from naslora_core.merge.context import Attempt, MergeContext, in_short
from naslora_core.merge.exact import exact, exact_layer, exact_note
from naslora_core.merge.fold import fold
from naslora_core.merge.layers import Merged
from naslora_core.merge.layerwise import LayerwiseMerge
from naslora_core.merge.remembering import RememberingSegmenter
from naslora_core.sam.build import Sam
from naslora_core.validation import mean_dice

# The merges that treat all layers alike, by the merge.mode that asks for them.
MERGES: dict[str, Callable[[Sam, MergeContext], Merged]] = {
    "exact": lambda sam, _: exact(sam),
    "calibrated": lambda sam, context: calibrate(
        sam,
        context.training,
        context.config.calibration_images,
        context.config.ridge,
        context.progress,
        context.precision,
    ),
    "fold": lambda sam, _: _with_notes(fold(sam), sam),
}


@dataclass(frozen=True)
class Choice:
    """The chosen merge, and the reason.

    Attributes:
        attempts: all that were tried, the chosen one last.
        validation_dice_before: of the adapted model.
        validation_dice_after: of the merged one.
        measured: the adapted and the merged model, with what they gave for the validation images.
    """

    mode: str
    merged: Merged
    reason: str
    attempts: list[Attempt]
    validation_dice_before: float
    validation_dice_after: float
    measured: tuple[RememberingSegmenter, ...] = ()

    def segmenter(self, sam: Sam) -> RememberingSegmenter:
        """Return a segmenter of a model, which knows what it has given already."""
        known = (segmenter for segmenter in self.measured if segmenter.sam is sam)
        return next(known, None) or RememberingSegmenter(sam).eval()


def choose(sam: Sam, validation: PreparedData, context: MergeContext) -> Choice:
    """Merge as `merge.mode` says, and measure what that does to the validation Dice.

    "auto" decides layer by layer: exact where a layer maps single tokens; else calibrated if the Dice of the whole
    model allows it, and folded where it does not, in as few layers as bisection finds.

    Raises:
        MergeError: if the named merge, or with "auto" every one, is impossible or loses too much.
    """
    trials = _Trials(sam, validation, context.config)
    if context.config.mode == "auto":
        chosen = _choose_by_layer(LayerwiseMerge(sam, context), trials)
    else:
        chosen = trials.measure(MERGES[context.config.mode](sam, context), context.config.mode)
    if not chosen.attempt.passed:
        raise MergeError(_refusal(trials.attempts, trials.before, context.config))
    attempts = [*(attempt for attempt in trials.attempts if attempt is not chosen.attempt), chosen.attempt]
    assert chosen.attempt.validation_dice is not None
    return Choice(
        chosen.attempt.mode,
        chosen.merged,
        _reason(attempts, context.config),
        attempts,
        trials.before,
        chosen.attempt.validation_dice,
        (trials.adapted, chosen.segmenter),
    )


def _with_notes(folded: Merged, sam: Sam) -> Merged:
    notes = []
    for name, adapter in find_adapters(sam).items():
        try:
            exact_layer(adapter)
            notes.append(exact_note(name))
        except MergeError:
            notes.append(LayerMerge(layer=name, merge="fold", reason="merge.mode asks for it"))
    return replace(folded, layers=notes)


@dataclass(frozen=True)
class _Trial:
    merged: Merged
    segmenter: RememberingSegmenter
    attempt: Attempt


class _Trials:
    """Measures merged models on the validation images, and keeps what it said of each."""

    def __init__(self, sam: Sam, validation: PreparedData, config: MergeConfig) -> None:
        self._validation, self._allowed = validation, config.max_metric_drop
        self.adapted = RememberingSegmenter(sam).eval()
        self.before = self._dice(self.adapted)
        self.attempts: list[Attempt] = []

    def measure(self, merged: Merged, mode: str) -> _Trial:
        segmenter = RememberingSegmenter(merged.sam).eval()
        after = self._dice(segmenter)
        attempt = Attempt(
            mode=mode,
            validation_dice=after,
            metric_drop=self.before - after,
            passed=self.before - after <= self._allowed,
            message=f"validation Dice is {self.before:.4f} before it and {after:.4f} after it",
            layers=count_modes(merged.layers),
        )
        self.attempts.append(attempt)
        return _Trial(merged, segmenter, attempt)

    def rule_out(self, mode: str, why: str) -> None:
        self.attempts.append(Attempt(mode=mode, validation_dice=None, metric_drop=None, passed=False, message=why))

    def _dice(self, segmenter: RememberingSegmenter) -> float:
        return mean_dice(segmenter, self._validation, "fp32")


def _choose_by_layer(merges: LayerwiseMerge, trials: _Trials) -> _Trial:
    """Return the merge with the fewest folded layers that bisection finds, or the last one tried if none passes.

    That folding everything passes needs no trial where bisection ends before it: it is exact but for rounding,
    save for layers that cannot be folded.
    """
    if merges.why_not_exact is not None:
        trials.rule_out("exact", merges.why_not_exact)

    def fold_first(count: int) -> _Trial:
        merged = merges.merge(merges.fold_order()[:count] if count else ())
        return trials.measure(merged, total_mode(merged.layers))

    chosen = fold_first(0)
    if chosen.attempt.passed or merges.why_not_exact is None:
        return chosen
    too_few, enough = 0, len(merges.fold_order())
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        trial = fold_first(middle)
        if trial.attempt.passed:
            chosen, enough = trial, middle
        else:
            too_few = middle
    return chosen if chosen.attempt.passed or not enough else fold_first(enough)


def _reason(attempts: Sequence[Attempt], config: MergeConfig) -> str:
    *others, chosen = attempts
    if config.mode != "auto":
        return f"merge.mode asks for {chosen.mode}; {chosen.message}."
    failed = [attempt for attempt in others if not attempt.passed]
    besides = f" ({in_short(failed)})" if failed else ""
    return (
        f"{chosen.words} costs least at inference of all tried that lower validation Dice by at most "
        f"{config.max_metric_drop}{besides}; {chosen.message}."
    )


def _refusal(attempts: Sequence[Attempt], before: float, config: MergeConfig) -> str:
    if config.mode != "auto":
        return (
            f"merge.mode {config.mode} lowers validation Dice from {before:.4f} to {attempts[0].validation_dice:.4f}, "
            f"more than merge.max_metric_drop {config.max_metric_drop}; choose another merge.mode or allow more"
        )
    return (
        f"merge.mode auto found no merge that lowers validation Dice {before:.4f} by no more than "
        f"merge.max_metric_drop {config.max_metric_drop}: {in_short(attempts)}. Allow a larger drop, or train with a "
        "search.space of linear operations, or with search.pointwise_pressure above 0"
    )
