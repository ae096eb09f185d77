"""The settings of a pre-training run; they are stored in the weights it writes."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from naslora_core.config import Section, Share


class PretrainConfig(Section):
    """How long and on what a base model learns promptable segmentation.

    Attributes:
        model: a key of `MODEL_SPECS`.
        steps: updates of the weights.
        decay_steps: the last of them, in which the learning rate falls to zero.
        small_steps: the first of them, on scenes of half the side: a quarter of the time each.
        batch_size: scenes in an update.
        prompts_per_scene: half of them points, half boxes; all share one run of the encoder.
        lr: highest learning rate.
        average_decay: share of the averaged weights that an update keeps.
        min_area_share: smallest object, as a share of the scene.
    """

    model: str = "sam_tiny"
    steps: PositiveInt = 3000
    decay_steps: PositiveInt = 900
    small_steps: Annotated[int, Field(ge=0)] = 600
    batch_size: PositiveInt = 16
    prompts_per_scene: Annotated[int, Field(ge=2, multiple_of=2)] = 8
    lr: PositiveFloat = 0.001
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    warmup_steps: PositiveInt = 100
    average_decay: Share = 0.998
    clip_norm: PositiveFloat = 1.0
    min_area_share: Share = 0.001
    seed: Annotated[int, Field(ge=0)] = 1

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of update `step`: linear warm-up, constant, linear decay to zero.

        On the plateau a run may be lengthened, or cooled down at once, without changing its past.
        """
        rise = min(1.0, (step + 1) / self.warmup_steps)
        return self.lr * min(rise, max(0.0, (self.steps - step) / self.decay_steps))

    def continues(self, earlier: "PretrainConfig") -> bool:
        """Return whether a run with these settings may resume one with the `earlier` settings."""
        return earlier.model_copy(update={"steps": self.steps, "decay_steps": self.decay_steps}) == self
