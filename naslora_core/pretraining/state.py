"""The state of a pre-training run, saved as a whole so that it can be resumed."""

from pathlib import Path

import torch

from naslora_core.errors import CheckpointError
from naslora_core.files import atomic_file
from naslora_core.pretraining.averages import WeightAverage
from naslora_core.pretraining.config import PretrainConfig
from naslora_core.pretraining.optim import PretrainOptimizer
from naslora_core.reading import require_format
from naslora_core.sam.build import Sam, build_sam

FORMAT = 1


class PretrainState:
    """A model in training, its averaged weights and its optimiser.

    Args:
        config: of the run; its seed decides the first weights.
    """

    def __init__(self, config: PretrainConfig) -> None:
        torch.manual_seed(config.seed)
        self._config = config
        self.sam: Sam = build_sam(config.model).train()
        self.average = WeightAverage(self.sam, config.average_decay)
        self.optimizer = PretrainOptimizer(self.sam, config.weight_decay)
        self.step = 0

    def save(self, path: Path) -> None:
        """Write everything to `path`, atomically."""
        state = {
            "format": FORMAT,
            "config": self._config.model_dump_json(),
            "step": self.step,
            "model": self.sam.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            torch.save(state, file)

    def resume(self, path: Path) -> None:
        """Restore what `save` wrote, if there is such a file.

        Raises:
            CheckpointError: if it is damaged or of another version, or was written by a run with other settings than
                `steps` and `decay_steps`.
        """
        if not path.is_file():
            return
        anew = "delete it to start anew"
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            require_format(state.get("format"), FORMAT, path, anew, CheckpointError)
            earlier = PretrainConfig.model_validate_json(state["config"])
        except CheckpointError:
            raise
        # A damaged pickle can raise almost anything.
        except Exception as error:
            raise CheckpointError(f"{path} cannot be read ({error}); {anew}") from error
        if not self._config.continues(earlier):
            raise CheckpointError(
                f"{path} was left by a run with other settings ({earlier}); repeat those to go on with it, or {anew}"
            )
        self.sam.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])
