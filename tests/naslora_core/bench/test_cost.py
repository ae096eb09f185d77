"""What a training step of a bench table's cost is made of, where layers search under a budget."""

from pathlib import Path

import pytest

from naslora_core.adapted.architecture import architecture_of
from naslora_core.adapters.budget.method import spent_by
from naslora_core.adapters.budget.search import BudgetSearch
from naslora_core.bench import cost
from naslora_core.bench.cost import compare_training, training_step
from naslora_core.config import load_params

ROOT = Path(__file__).parents[3]
SETTINGS = ["model.image_size=64", "train.batch_size=2", "train.view=whole", "train.detail=off", "adapter.rank=4"]
BUDGET = ["search.space=choices", "search.budget=1.3", "search.alternate=joint", "search.arch_every=3"]


def params(*own):
    return load_params(ROOT / "params.yaml", [*SETTINGS, *own])


def test_a_step_that_searches_is_one_of_layers_that_have_everything_and_holds_no_round(monkeypatch):
    monkeypatch.setattr(BudgetSearch, "_hold_round", lambda search: pytest.fail("it would count as a step"))
    step = training_step(params(*BUDGET), searching=True)
    assert len(step.phases.run_epoch(0, lambda *_: None).weights) == 1
    step()
    assert step.phases._weights.steps == 2
    assert architecture_of(step.phases.adapters) is None


def test_a_step_after_the_choice_is_of_layers_that_keep_the_budget_and_have_spatial_operations():
    step = training_step(params(*BUDGET))
    step()
    found = architecture_of(step.phases.adapters)
    assert len(found) == len(step.phases.adapters)
    assert any(choice.operation not in ("skip_connect", "singular_values") for choice in found.values())
    assert spent_by(step.segmenter.sam.image_encoder, found).time <= 0.3


def test_a_search_under_a_budget_costs_its_share_of_the_training(monkeypatch):
    ratios = {False: 1.5, True: 2.5}

    def fake(params, searching=False):
        return ratios[searching] if params.adapter.method == "nas_lora" else 1.0

    monkeypatch.setattr(cost, "training_step", fake)
    monkeypatch.setattr(cost, "alternate", lambda work, rounds: {name: [(own, own)] for name, own in work.items()})
    monkeypatch.setattr(cost, "peak_memory", lambda make, row, searching: {"peak_mib": 100.0 * (1 + searching)})
    rows = {
        "lora": params("adapter.method=lora"),
        "searched": params(*BUDGET),
        "drawn": params(*BUDGET, "search.alphas=random"),
        "joint": params("search.budget=none", "search.alternate=joint"),
        "steps": params("search.budget=none", "search.alternate=steps", "search.arch_every=2"),
    }
    found = compare_training(rows, "lora", rounds=1)
    # Half of the training searches; of the paper's turns it is that of two weight steps and one of the alphas.
    assert {name: row.get("search_ratio") for name, row in found.items()} == {
        "lora": None, "searched": pytest.approx(2.0), "drawn": None, "joint": 2.5, "steps": 1.25,
    }  # fmt: skip
    assert {name: row["memory_ratio"] for name, row in found.items()} == {
        "lora": 1, "searched": 2, "drawn": 1, "joint": 1, "steps": 1,
    }  # fmt: skip
