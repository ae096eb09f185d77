"""The pre-training loop: resumable, and recorded in the weights it writes."""

import csv
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Subset

from naslora_core.data.synthetic.scenes import SCENE_GENERATOR_VERSION, SceneGenerator
from naslora_core.errors import CheckpointError
from naslora_core.files import atomic_file
from naslora_core.pretraining.config import PretrainConfig
from naslora_core.pretraining.evaluate import evaluate_prompts
from naslora_core.pretraining.model import scene_loss
from naslora_core.pretraining.scenes import PromptedSceneDataset
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.checkpoint import save_weights
from naslora_core.sam.precision import autocast
from naslora_core.sam.specs import MODEL_SPECS

SAVE_EVERY = 100
CURVE_EVERY = 20


def pretrain(
    config: PretrainConfig, output: Path, precision: str = "auto", progress: Progress = silent
) -> Mapping[str, float]:
    """Train a SAM on procedural scenes and write it, in half precision, to `output`.

    An interrupted run leaves `<output>.resume` and the next call with the same settings goes on from
    there; `steps` alone may differ. The learning curve lies in `<output>.csv`.

    Returns:
        What `evaluate_prompts` measures at the end; it is stored in the file's metadata with the settings.

    Raises:
        CheckpointError: if an interrupted run with other settings is in the way.
    """
    torch.manual_seed(config.seed)
    sam = build_sam(config.model).train()
    optimizer = torch.optim.AdamW(sam.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    state_file = output.with_name(output.name + ".resume")
    start = _resume(state_file, config, sam, optimizer)
    curve = output.with_name(output.name + ".csv")
    curve.parent.mkdir(parents=True, exist_ok=True)
    if start == 0:
        curve.write_text("step,loss,lr,scenes_per_second\n")
    losses: list[float] = []
    last = time.monotonic()
    for step, scenes in enumerate(_batches(config, start), start=start):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate(step)
        with autocast(precision, sam.device):
            loss = scene_loss(sam, scenes)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(sam.parameters(), config.clip_norm)
        optimizer.step()
        losses.append(float(loss.detach()))
        progress(step + 1, config.steps, f"loss {losses[-1]:.3f}")
        if len(losses) == CURVE_EVERY:
            speed = CURVE_EVERY * config.batch_size / (time.monotonic() - last)
            _append(curve, step + 1, sum(losses) / CURVE_EVERY, config.learning_rate(step), speed)
            losses, last = [], time.monotonic()
        if (step + 1) % SAVE_EVERY == 0:
            _save_state(state_file, config, sam, optimizer, step + 1)
    return _finish(config, output, state_file, sam.eval(), progress)


def _batches(config: PretrainConfig, start: int) -> DataLoader:
    generator = SceneGenerator(config.seed, MODEL_SPECS[config.model].image_size, config.min_area_share)
    scenes = PromptedSceneDataset(
        generator, config.steps, config.batch_size, config.prompts_per_scene, centred=False, jitter_px=3
    )
    return DataLoader(Subset(scenes, range(start, config.steps)), batch_size=None, num_workers=1, prefetch_factor=4)


def _finish(
    config: PretrainConfig, output: Path, state_file: Path, sam: Sam, progress: Progress
) -> Mapping[str, float]:
    halved = {key: value.half() for key, value in sam.state_dict().items()}
    sam.load_state_dict(halved)
    measured = evaluate_prompts(sam, min_area_share=config.min_area_share, progress=progress)
    metadata = {
        "format": "naslora-sam-1",
        "model": config.model,
        "config": config.model_dump_json(),
        "scene_generator_version": str(SCENE_GENERATOR_VERSION),
        **{f"held_out_{name}_iou": f"{value:.4f}" for name, value in measured.items()},
    }
    save_weights(output, halved, metadata)
    state_file.unlink(missing_ok=True)
    return measured


def _append(curve: Path, step: int, loss: float, lr: float, speed: float) -> None:
    with curve.open("a", newline="") as file:
        csv.writer(file).writerow([step, f"{loss:.4f}", f"{lr:.6f}", f"{speed:.2f}"])


def _save_state(path: Path, config: PretrainConfig, sam: Sam, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {
        "config": config.model_dump_json(),
        "step": step,
        "model": sam.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with atomic_file(path) as temporary:
        torch.save(state, temporary)


def _resume(path: Path, config: PretrainConfig, sam: Sam, optimizer: torch.optim.Optimizer) -> int:
    if not path.is_file():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    earlier = PretrainConfig.model_validate_json(state["config"])
    if earlier.model_copy(update={"steps": config.steps}) != config:
        raise CheckpointError(
            f"{path} was left by a run with other settings ({earlier}); "
            "repeat those to go on with it, or delete it to start anew"
        )
    sam.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
