"""The pre-training loop: resumable, and recorded in the weights it writes."""

import csv
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Subset

from naslora_core.data.synthetic.scenes import SCENE_GENERATOR_VERSION
from naslora_core.pretraining.config import PretrainConfig
from naslora_core.pretraining.curriculum import training_batches
from naslora_core.pretraining.evaluate import evaluate_prompts
from naslora_core.pretraining.model import scene_loss
from naslora_core.pretraining.state import PretrainState
from naslora_core.progress import Progress, silent
from naslora_core.sam.precision import autocast
from naslora_core.sam.weights import save_weights

SAVE_EVERY = 50
CURVE_EVERY = 20


def pretrain(
    config: PretrainConfig, output: Path, precision: str = "auto", progress: Progress = silent
) -> Mapping[str, float]:
    """Train a SAM on procedural scenes and write its averaged weights, in half precision, to `output`.

    An interrupted run leaves `<output>.resume` and the next call with the same settings goes on from
    there; `steps` and `decay_steps` may differ. The learning curve lies in `<output>.csv`.

    Returns:
        What `evaluate_prompts` measures at the end; it is stored in the file's metadata with the settings.

    Raises:
        CheckpointError: if an interrupted run with other settings is in the way.
    """
    state = PretrainState(config)
    state_file = output.with_name(output.name + ".resume")
    state.resume(state_file)
    curve = _LearningCurve(output.with_name(output.name + ".csv"), config, state.step)
    for scenes in _batches(config, state.step):
        lr = config.learning_rate(state.step)
        with autocast(precision, state.sam.device):
            loss = scene_loss(state.sam, scenes)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(state.sam.parameters(), config.clip_norm)
        state.optimizer.step(lr)
        state.average.update(state.sam, state.step)
        state.step += 1
        progress(state.step, config.steps, f"loss {float(loss.detach()):.3f}")
        curve.add(state.step, float(loss.detach()), lr)
        if state.step % SAVE_EVERY == 0:
            state.save(state_file)
    measured = _finish(config, output, state, progress)
    state_file.unlink(missing_ok=True)
    return measured


def _batches(config: PretrainConfig, start: int) -> DataLoader:
    remaining = Subset(training_batches(config), range(start, config.steps))
    return DataLoader(remaining, batch_size=None, num_workers=1, prefetch_factor=4)


def _finish(config: PretrainConfig, output: Path, state: PretrainState, progress: Progress) -> Mapping[str, float]:
    halved = {key: value.half() for key, value in state.average.state_dict().items()}
    state.sam.load_state_dict(halved)
    measured = evaluate_prompts(state.sam.eval(), progress=progress)
    metadata = {
        "format": "naslora-sam-1",
        "model": config.model,
        "config": config.model_dump_json(),
        "scene_generator_version": str(SCENE_GENERATOR_VERSION),
        **{f"held_out_{name}_iou": f"{value:.4f}" for name, value in measured.items()},
    }
    save_weights(output, halved, metadata)
    return measured


class _LearningCurve:
    """A CSV file with the mean loss of every `CURVE_EVERY` steps.

    Args:
        path: begun anew when `start` is 0, else continued.
        config: of the run.
        start: the first step of this part of the run.
    """

    def __init__(self, path: Path, config: PretrainConfig, start: int) -> None:
        self._path = path
        self._scenes = CURVE_EVERY * config.batch_size
        self._losses: list[float] = []
        self._since = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = path.read_text().splitlines()[1:] if start and path.is_file() else []
        # Steps after the last saved state are taken again, and so are their rows.
        kept = [row for row in rows if int(row.split(",")[0]) <= start]
        path.write_text("\n".join(["step,loss,lr,scenes_per_second", *kept, ""]))

    def add(self, step: int, loss: float, lr: float) -> None:
        """Add the loss of a step; every `CURVE_EVERY` steps become a row."""
        self._losses.append(loss)
        if len(self._losses) < CURVE_EVERY:
            return
        speed = self._scenes / (time.monotonic() - self._since)
        with self._path.open("a", newline="") as file:
            row = [step, f"{sum(self._losses) / CURVE_EVERY:.4f}", f"{lr:.6f}", f"{speed:.2f}"]
            csv.writer(file, lineterminator="\n").writerow(row)
        self._losses, self._since = [], time.monotonic()
