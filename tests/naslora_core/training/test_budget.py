"""A training under a budget from its first step to the merged model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from naslora_core.adapted.architecture import architecture_of, keep_found
from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.genotype import describe_genotype
from naslora_core.adapted.saved import load_adapted, save_adapted
from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.adapters.budget.layer import ChoosingLayer, FoundLayer
from naslora_core.adapters.budget.method import spent_by
from naslora_core.config import MergeConfig
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.merge.choose import choose
from naslora_core.merge.context import MergeContext
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.loop import SearchAndTrain, TrainingRecord
from naslora_core.training.phases import AlternatingPhases
from naslora_core.training.resume import Checkpoints

SIDE = 64
TARGETS = ("attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2")
# At 64 px a branch is a tenth of sam_tiny's time: room for three of them.
LIMITS = {"budget": 1.35, "max_parameters": 20_000, "space": "choices"}


@pytest.fixture(scope="module")
def small(model):
    return model.model_copy(update={"image_size": SIDE})


@pytest.fixture(scope="module")
def data() -> PreparedData:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 90, size=(6, SIDE, SIDE, 3)).astype(np.uint8)
    masks = np.zeros((6, SIDE, SIDE), dtype=np.uint8)
    masks[:, 10:40, 20:50] = 1
    images[masks > 0] += 120
    return PreparedData(images, masks, [(SIDE, SIDE)] * 6, [(SIDE, SIDE)] * 6, list("abcdef"))


@pytest.fixture(scope="module")
def start(small, adapter, search, train, data):
    """Return a function that gives a run under a budget, its model and its adapters."""

    def make(**changes):
        settings = search.model_copy(update=LIMITS | changes)
        wide = adapter.model_copy(update={"target_modules": TARGETS, "rank": 8, "lora_alpha": 16})
        sam = load_base(small)
        adapters = add_adapters(sam, wide, settings, seed=3)
        phases = AlternatingPhases(
            PromptFreeSegmenter(sam), adapters, data, train.model_copy(update={"epochs": 3, "augment": False}),
            settings, "fp32", 3,
        )  # fmt: skip
        return SearchAndTrain(phases, data), sam, adapters, (wide, settings)

    return make


@dataclass(frozen=True)
class Found:
    """A finished training in a folder, and what it had learned before layers without a branch were taken out."""

    folder: Path
    record: TrainingRecord
    state: dict[str, torch.Tensor]
    architecture: dict[str, LayerChoice] | None
    sam: torch.nn.Module
    genotype: dict[str, Any]
    left: dict[str, torch.nn.Module]


@pytest.fixture(scope="module")
def found(start, small, tmp_path_factory):
    """The run under a budget, trained once; not to be changed."""
    folder = tmp_path_factory.mktemp("found")
    run, sam, adapters, (wide, settings) = start()
    record = run.run()
    state = {name: value.clone() for name, value in sam.state_dict().items()}
    genotype, architecture = describe_genotype(sam, adapters), architecture_of(adapters)
    left = keep_found(sam, adapters)
    save_adapted(folder, PromptFreeSegmenter(sam), left, small, wide, settings, seed=3)
    (folder / "genotype.json").write_text(json.dumps(genotype))
    return Found(folder, record, state, architecture, sam, genotype, left)


def test_the_found_architecture_keeps_both_limits(found):
    genotype, left = found.genotype, found.left
    assert found.record.best_epoch >= 2
    assert genotype["inference"] <= LIMITS["budget"]
    assert 0 < genotype["parameters"] <= LIMITS["max_parameters"]
    own = sum(p.numel() for layer in left.values() for p in layer.parameters() if p.requires_grad)
    # Of a layer whose projections differ in rank, what is beyond a rank is stored, and zero.
    assert own >= genotype["parameters"]
    assert len(genotype["layers"]) == 8 * len(TARGETS)
    assert all(isinstance(layer, FoundLayer) for layer in left.values())


def test_it_is_saved_loaded_and_merged(found, small, data, tmp_path):
    images = torch.from_numpy(data.images[:2].transpose(0, 3, 1, 2))
    loaded, adapters = load_adapted(found.folder, small)
    assert adapters.keys() == found.left.keys()
    with torch.no_grad():
        wanted = PromptFreeSegmenter(found.sam).eval()(images)
        assert torch.equal(loaded(images), wanted)
    for mode in ("fold", "auto"):
        context = MergeContext(data, MergeConfig(mode=mode, max_metric_drop=1, calibration_images=2, ridge=1e-3))
        choice = choose(loaded.sam, data, context)
        save_merged(tmp_path, choice.merged, "sam_tiny", choice.mode, {})
        if mode == "fold":
            with torch.no_grad():
                merged = PromptFreeSegmenter(load_merged(tmp_path))(images)
            torch.testing.assert_close(merged, wanted, rtol=1e-4, atol=1e-4)


def test_without_any_time_to_spend_the_merge_is_a_stock_checkpoint(start, small, data, tmp_path):
    run, sam, adapters, _ = start(budget=1.0)
    run.run()
    architecture = architecture_of(adapters)
    assert architecture is not None
    keep_found(sam, adapters)
    assert spent_by(sam.image_encoder, architecture).time == 0
    context = MergeContext(data, MergeConfig(mode="auto", max_metric_drop=0, calibration_images=2, ridge=1e-3))
    choice = choose(sam, data, context)
    assert choice.mode == "exact"
    save_merged(tmp_path, choice.merged, "sam_tiny", "exact", {})
    assert load_merged(tmp_path).state_dict().keys() == load_base(small).state_dict().keys()
    images = torch.from_numpy(data.images[:2].transpose(0, 3, 1, 2))
    with torch.no_grad():
        wanted = PromptFreeSegmenter(sam).eval()(images)
        merged = PromptFreeSegmenter(load_merged(tmp_path))(images)
    torch.testing.assert_close(merged, wanted, rtol=1e-4, atol=1e-4)


def test_the_same_run_finds_the_same_and_one_that_was_stopped_too(found, start, tmp_path):
    steps = 0

    class StopError(Exception):
        pass

    def stop(done: int, total: int, message: str) -> None:
        nonlocal steps
        steps += 1
        # After the rounds have begun, before the last one.
        if steps == 2:
            raise StopError

    path = tmp_path / "state.pt"
    again, _, _, _ = start()
    with pytest.raises(StopError):
        again.run(Checkpoints(path, 0), stop)
    resumed, other, others, _ = start()
    assert all(layer.choice is None for layer in others.values() if isinstance(layer, ChoosingLayer))
    resumed.run(Checkpoints(path, 0))
    assert architecture_of(others) == found.architecture
    assert all(torch.equal(value, found.state[name]) for name, value in other.state_dict().items())


# All have 196,608 with every rank: LoRA of rank 8 on these layers.
@pytest.mark.parametrize(("how", "setting", "limit"), [("random", 20_000, 20_000), ("uniform", 0.28, 0.28 * 196_608)])
def test_an_architecture_that_nobody_searched_costs_as_much(start, how, setting, limit):
    run, sam, adapters, _ = start(alphas=how, max_parameters=setting)
    assert all(isinstance(layer, FoundLayer) for layer in adapters.values())
    architecture = architecture_of(adapters)
    assert architecture is not None
    spent = spent_by(sam.image_encoder, architecture)
    assert 0.5 * (LIMITS["budget"] - 1) < spent.time <= LIMITS["budget"] - 1
    assert 0.8 * limit < spent.parameters <= limit
    assert run.run().best_epoch >= 1


def test_a_found_architecture_is_trained_again_as_it_is(found, start):
    run, _, adapters, _ = start(budget="none", max_parameters="none", from_=found.folder / "genotype.json")
    assert adapters.keys() == found.left.keys()
    kept = {name: layer.choice for name, layer in found.left.items()}
    assert {name: layer.choice for name, layer in adapters.items()} == kept
    assert run.run().best_epoch >= 1
