"""The settings of a pre-training run; they are stored in the weights it writes."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from naslora_core.config import Section, Share


class PretrainConfig(Section):
    """How long and on what a base model learns promptable segmentation.

    Attributes:
        model: a key of `MODEL_SPECS`.
        steps: updates of the weights.
        batch_size: scenes in an update.
        prompts_per_scene: half of them points, half boxes; all share one run of the encoder.
        decay_share: last part of the steps, in which the learning rate falls to zero.
        min_area_share: smallest object, as a share of the scene.
    """

    model: str = "sam_tiny"
    steps: PositiveInt = 3000
    batch_size: PositiveInt = 16
    prompts_per_scene: Annotated[int, Field(ge=2, multiple_of=2)] = 8
    lr: PositiveFloat = 0.001
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    warmup_steps: PositiveInt = 150
    decay_share: Share = 0.3
    clip_norm: PositiveFloat = 1.0
    min_area_share: Share = 0.003
    seed: Annotated[int, Field(ge=0)] = 1

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of update `step`: it rises, stays, and falls linearly to zero.

        The plateau lets a run be lengthened after it was interrupted without changing its past.
        """
        rise = min(1.0, (step + 1) / self.warmup_steps)
        decay_steps = max(1.0, self.decay_share * self.steps)
        return self.lr * min(rise, max(0.0, (self.steps - step) / decay_steps))
