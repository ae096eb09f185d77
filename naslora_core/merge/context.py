"""The inputs of a merge beside the adapted model, and what is said of a merge that was tried."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from naslora_core.config import MergeConfig, Section
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.merge.by_layer import MIXED, in_words
from naslora_core.progress import Progress, silent


@dataclass(frozen=True)
class MergeContext:
    """The inputs of a merge beside the adapted model.

    Attributes:
        training: the images that calibrated merges are fitted to.
        config: how to merge.
        precision: in which the model sees these images: "auto", "fp32" or "bf16". What is fitted, and what is measured
            of it, is computed in float32 or more.
        progress: is told of every fitted layer.
    """

    training: PreparedData
    config: MergeConfig
    precision: str = "fp32"
    progress: Progress = silent


class Attempt(Section):
    """One tried merge, and its validation Dice.

    Attributes:
        mode: exact, calibrated, fold, or mixed.
        validation_dice: of the merged model; None where the merge is impossible.
        metric_drop: by how much this is less than the adapted model's.
        message: these numbers in words, or why the merge is impossible.
        layers: how many layers were merged in which way; empty where that is not known.
    """

    mode: str
    validation_dice: float | None
    metric_drop: float | None
    passed: bool
    message: str
    layers: dict[str, int] = Field(default_factory=dict)

    @property
    def words(self) -> str:
        """The mode, and of a mixed one how many layers have which."""
        return f"{MIXED} ({in_words(self.layers)})" if self.mode == MIXED and self.layers else self.mode


def in_short(attempts: Sequence[Attempt]) -> str:
    """Return what each of some attempts would lose, in a clause."""
    return ", ".join(
        f"{attempt.words} is impossible"
        if attempt.metric_drop is None
        else f"{attempt.words} would lose {attempt.metric_drop:.4f}"
        for attempt in attempts
    )
