"""Measure a training step's time and peak memory relative to the reference row's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapters import Adapter
from naslora_core.adapters.base import callbacks_of
from naslora_core.adapters.budget.search import ROUNDS, BudgetSearch
from naslora_core.config import NOTHING_GIVEN, Params
from naslora_core.data.prepared.prepared import ANCHORS, PreparedData
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import build_sam
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.precision import best_device
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.specs import find_spec
from naslora_core.sam.square import window_side
from naslora_core.timing import alternate, median, median_ratio, peak_memory
from naslora_core.training.phases import AlternatingPhases

# Longer than any measurement, so that no learning rate has fallen to zero and no warm-up is over.
_ENDLESS = 100_000

Row = dict[str, float]


@dataclass(frozen=True)
class TrainingStep:
    """A repeatable training step, and the model it trains."""

    segmenter: PromptFreeSegmenter
    phases: AlternatingPhases

    def __call__(self) -> None:
        """Run one weight step, or when searching those that go with one architecture step, and that one."""
        self.phases.run_epoch(0, silent)
        if self.segmenter.sam.device.type == "cuda":
            # The optimiser's part is still under way, and would count as the next step's.
            torch.cuda.synchronize()


def training_step(params: Params, searching: bool = False, augment: bool = False) -> TrainingStep:
    """Build the pipeline's own training step, from forward pass to optimiser, on random weights and images.

    Weights and pixels do not change what is computed. Of what is "auto" the dearer choice is taken.

    Args:
        params: of the row.
        searching: run as many steps of the weights as there are to one of the architecture, and that one too; one
            that moves both where `search.alternate` is "joint". A search under a budget has held no round yet,
            and lets all layers have everything; without `searching` its layers have chosen.
        augment: images, as a training does.
    """
    is_joint = params.search.alternate == "joint"
    turns = {"alternate": "joint" if is_joint else "steps", "warmup_epochs": 0 if searching else _ENDLESS}
    search = params.search.model_copy(update={"arch_split": 0.0, **turns})
    train = params.train
    dearer = {"view": "crops", "detail": "half", "loss": "ce_dice_cl"}
    auto = {name: value for name, value in dearer.items() if getattr(train, name) == "auto"}
    train = train.model_copy(update={"epochs": _ENDLESS, "augment": augment, **auto})
    spec = find_spec(params.model.name, params.model.image_size)
    sam = build_sam(params.model.name, spec.image_size)
    sam.image_encoder.gradient_checkpointing = params.model.gradient_checkpointing
    images = train.batch_size * (_weight_steps(params) if searching else 1)
    is_whole = train.view == "whole"
    data = random_images(spec.image_size, images) if is_whole else whole_image(spec.image_size, images, train.scale)
    assert train.detail != "auto"
    set_head(sam, MaskHead(1, train.detail, data.scale), params.seed)
    adapters = add_adapters(sam, params.adapter, search, params.seed)
    if not searching:
        _let_choose(adapters, params.seed)
    segmenter = PromptFreeSegmenter(sam.to(best_device()))
    phases = AlternatingPhases(segmenter, adapters, data, train, search, params.model.precision, params.seed)
    return TrainingStep(segmenter, phases)


def compare_training(
    rows: Mapping[str, Params], reference: str, rounds: int, progress: Progress = silent
) -> dict[str, Row]:
    """Measure a step of every row, alternating with a step of the reference.

    Only two models are in memory at a time, so that the largest SAM can be measured too.

    Args:
        rows: the settings of the rows.
        reference: the row the others are compared with.
        rounds: turns; medians over them are returned.

    Returns:
        By row: `wall_s` and `cpu_s` of a step, `ratio` and `cpu_ratio` to the reference's, `peak_mib` and
        `memory_ratio`; with a search also `search_ratio` and `search_cpu_ratio`, of a step together with its
        share of the architecture's steps. Under a budget these are the mean over the training, of steps before the
        choice, as if all of them had everything, and of those after it, as the others are; what the rounds measure is
        not in them, and memory is that of the search.
    """
    memory = {
        name: peak_memory(training_step, params, _has_budget(params) and _searches(params))["peak_mib"]
        for name, params in rows.items()
    }
    found: dict[str, Row] = {}
    for done, (name, params) in enumerate(rows.items()):
        work = {"reference": training_step(rows[reference]), "row": training_step(params)}
        seconds = alternate(work, rounds)
        (wall, cpu), (ratio, cpu_ratio) = median(seconds["row"]), median_ratio(seconds["row"], seconds["reference"])
        found[name] = {"wall_s": wall, "cpu_s": cpu, "ratio": ratio, "cpu_ratio": cpu_ratio}
        found[name] |= {"peak_mib": memory[name], "memory_ratio": memory[name] / memory[reference]}
        if _searches(params):
            searching = _search_ratios(params, rows[reference], rounds)
            # What is before the choice counts for as long as it lasts.
            share = ROUNDS[-1] if _has_budget(params) else 1.0
            found[name] |= {
                f"search_{of}": share * searching[of] + (1 - share) * found[name][of] for of in ("ratio", "cpu_ratio")
            }
        progress(done + 1, len(rows), f"cost of {name}")
    return found


def random_images(side: int, count: int) -> PreparedData:
    """Return noise with masks of noise, (count, side, side, 3)."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    masks = random.integers(0, 2, (count, side, side), dtype=np.uint8)
    sizes = [(side, side)] * count
    return PreparedData(images, masks, sizes, sizes, [str(index) for index in range(count)])


def whole_image(side: int, count: int, scale: float) -> PreparedData:
    """Return noise as one image that takes `count` crops of a model's `side` pixels to cover, a pass of them."""
    high = next(divisor for divisor in range(math.isqrt(count), 0, -1) if count % divisor == 0)
    size = (high * window_side(side, scale), count // high * window_side(side, scale))
    random = np.random.default_rng(0)
    images, masks = random.integers(0, 256, (1, *size, 3), np.uint8), random.integers(0, 2, (1, *size), np.uint8)
    anchors = random.integers(0, size, (1, ANCHORS, 2), np.int32)
    return PreparedData(images, masks, [size], [size], ["0"], scale=scale, side=side, anchors=anchors)


def _searches(params: Params) -> bool:
    is_given = params.search.budget == "none" and params.search.from_ != NOTHING_GIVEN
    return params.adapter.method.startswith("nas") and params.search.alphas == "searched" and not is_given


def _has_budget(params: Params) -> bool:
    return params.adapter.method == "nas_lora" and params.search.budget != "none"


def _weight_steps(params: Params) -> int:
    """Return how many steps of the weights there are to one of the architecture."""
    return 1 if params.search.alternate == "joint" or _has_budget(params) else params.search.arch_every


def _search_ratios(params: Params, reference: Params, rounds: int) -> Row:
    work = {"reference": training_step(reference), "row": training_step(params, searching=True)}
    seconds = alternate(work, rounds)
    wall, cpu = median_ratio(seconds["row"], seconds["reference"])
    steps = _weight_steps(params)
    return {"ratio": wall / steps, "cpu_ratio": cpu / steps}


def _let_choose(adapters: Mapping[str, Adapter], seed: int) -> None:
    """Let fresh layers under a budget choose what is drawn for them, at the cost of their limits, in place.

    A search that measures random weights would find them all worthless, and choose what is cheapest.
    """
    for callback in callbacks_of(adapters.values()):
        if isinstance(callback, BudgetSearch):
            callback.choose_at_random(seed)
