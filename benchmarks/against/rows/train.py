"""A training step, from images to optimiser, against PEFT's LoRA on segment-anything's own modules."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.against.compare import Comparison, Measure, Sample, Target, take_turns
from benchmarks.against.earlier import ROOT
from benchmarks.against.row import Options, Row

# What params.yaml adapts.
TARGETS = ("attn.qkv", "mlp.lin1", "mlp.lin2")


def our_step(model: str, image_size: int, batch_size: int, recompute: bool, searching: bool) -> Callable[[], object]:
    """Return the pipeline's own step under the settings of params.yaml, in bfloat16, with a base as stages load it."""
    from naslora_core.bench.cost import training_step
    from naslora_core.config import load_params
    from naslora_core.sam.mapped import take_weights
    from naslora_core.sam.weights import read_weights, save_weights

    settings = [f"model.name={model}", f"model.image_size={image_size}", f"train.batch_size={batch_size}"]
    settings += ["model.precision=bf16", "train.view=whole", "train.detail=off", "train.loss=ce_dice"]
    settings += [f"model.gradient_checkpointing={str(recompute).lower()}", "model.checkpoint=models/any.safetensors"]
    step = training_step(load_params(ROOT / "params.yaml", settings), searching)
    frozen = {name: value for name, value in step.segmenter.named_parameters() if not value.requires_grad}
    with tempfile.TemporaryDirectory() as folder:
        # The weights are random, and have no file yet in which they could stay.
        save_weights(path := Path(folder) / "base.safetensors", frozen, {})
        take_weights(step.segmenter, read_weights(path))
    return step


def their_step(
    model: str, image_size: int, batch_size: int, recompute: bool, precision: str, targets: tuple[str, ...]
) -> Callable[[], object]:
    """Return the rival's step."""
    from benchmarks.against.rivals.peft_lora import peft_training_step

    return peft_training_step(model, image_size, batch_size, targets, precision, recompute)


def _measure(model: str, image_size: int, batch_size: int, recompute: bool, options: Options) -> Comparison:
    import torch

    from naslora_core.timing import peak_memory

    torch.set_num_threads(options.threads)
    case = (model, image_size, batch_size, recompute)
    prepared: dict[str, Callable[[], Callable[[], object]]] = {
        "": partial(our_step, *case, searching=False),
        "PEFT bf16": partial(their_step, *case, precision="bf16", targets=TARGETS),
        "PEFT bf16, attn.qkv alone": partial(their_step, *case, precision="bf16", targets=TARGETS[:1]),
        "PEFT fp32": partial(their_step, *case, precision="fp32", targets=TARGETS),
        "our own while it still searches": partial(our_step, *case, searching=True),
    }
    peaks = {name: peak_memory(prepare)["peak_mib"] for name, prepare in prepared.items()}
    ways = {name: _timed(prepare()) for name, prepare in prepared.items()}
    found = take_turns(ways.pop(""), ways, options.rounds)
    others = {name: _with_peak(samples, peaks[name]) for name, samples in found.others.items()}
    return Comparison(_with_peak(found.ours, peaks[""]), others, [f"rank 8; adapted: {', '.join(TARGETS)}"])


def _timed(step: Callable[[], object]) -> Measure:
    def run() -> Sample:
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        return Sample(time.perf_counter() - wall, time.process_time() - cpu)

    return run


def _with_peak(samples: list[Sample], peak_mib: float) -> list[Sample]:
    # Of a fresh process each, which is why it is measured once.
    return [replace(sample, peak_mib=peak_mib) for sample in samples]


def _row(model: str, image_size: int, batch_size: int, *targets: Target, recompute: bool = False) -> Row:
    how = f"{model} at {image_size} px, batch {batch_size}" + (", gradient checkpointing" if recompute else "")
    return Row(
        f"a training step of {how}, NAS-LoRA in bf16 after its choice",
        "PEFT LoRA on segment-anything's own modules",
        targets,
        partial(_measure, model, image_size, batch_size, recompute),
    )


ROWS = {
    "train_sam_tiny": _row("sam_tiny", 256, 8, Target("cpu", 0.55)),
    "train_vit_b_512": _row(
        "vit_b", 512, 1, Target("cpu", 0.7), Target("cpu", 0.35, "PEFT fp32"), Target("memory", 0.5)
    ),
    "train_vit_b_1024": _row(
        "vit_b", 1024, 1, Target("cpu", 0.6), Target("memory", 8192, is_ratio=False), recompute=True
    ),
}
