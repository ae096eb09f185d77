from itertools import product
from pathlib import Path

import pytest

from naslora_core.adapters import find_method
from naslora_core.bench.table import Training, load_table, trainings_of
from naslora_core.config import load_params
from naslora_core.errors import ConfigError
from naslora_core.ops import resolve_space

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "configs").glob("*/*.yaml"))
PUBLISHED = {"kvasir", "cvc_clinicdb", "isic2017", "camo", "sbu", "leaf", "roads", "trans10k_v1", "trans10k_v2"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_row_of_a_table_is_a_setting_that_exists(path):
    table = load_table(path)
    for domain, row in product(table.domains, table.rows):
        params = load_params(ROOT / "params.yaml", table.row_settings(row, domain))
        find_method(params.adapter.method)
        resolve_space(params.search.space)
        assert params.adapter.method != "nas_pc_lora" or params.adapter.rank % params.search.partial_channel_k == 0
    assert bool(table.paper) == (path.parent.name == "paper")


def test_there_is_a_preset_for_each_published_benchmark():
    presets = {path.stem: load_table(path) for path in FILES if path.parent.name == "paper"}
    assert set(presets) == PUBLISHED
    assert all(set(table.models) == {"vit_b", "vit_l", "vit_h"} for table in presets.values())


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_published_experiment_leaves_nothing_to_the_gate(name):
    table = load_table(ROOT / "configs" / "paper" / f"{name}.yaml")
    for row in table.rows:
        train = load_params(ROOT / "params.yaml", table.row_settings(row)).train
        assert (train.view, train.detail) == ("whole", "off")
        assert train.loss != "auto"


def test_cells_go_seed_by_seed_and_are_found_by_name():
    table = load_table(ROOT / "configs" / "ablations" / "nodes.yaml")
    trainings = trainings_of(table)
    assert [training.seed for training in trainings] == sorted(training.seed for training in trainings)
    assert len(set(trainings)) == len(trainings) == len(table.seeds) * len(table.domains) * len(table.rows)
    assert trainings_of(table, ["kvasir:two:seed=8"]) == [Training("kvasir", "two", 8)]
    with pytest.raises(ConfigError, match=r"--only kvasir:four:seed=8 is no cell.*a row of one, two, three"):
        trainings_of(table, ["kvasir:four:seed=8"])


def test_a_rival_comes_after_the_row_whose_time_it_gets():
    table = load_table(ROOT / "configs" / "bench" / "unet.yaml")
    assert [training.row for training in trainings_of(table)][:2] == ["nas_lora", "unet"]
    assert table.names == ["nas_lora", "unet"]


def test_transfers_come_last_and_take_what_was_found_on_the_next_domain():
    table = load_table(ROOT / "configs" / "bench" / "search.yaml")
    of_a_seed = [training for training in trainings_of(table) if training.seed == 8]
    assert [str(training) for training in of_a_seed[-2:]] == ["kvasir:transfer:seed=8", "crack_forest:transfer:seed=8"]
    donors = [str(table.donor_of(training)) for training in of_a_seed[-2:]]
    assert donors == ["crack_forest:searched:seed=8", "kvasir:searched:seed=8"]


def test_the_controls_of_a_search_differ_from_it_by_what_they_control_alone():
    table = load_table(ROOT / "configs" / "bench" / "search.yaml")
    settings = {
        row: load_params(ROOT / "params.yaml", table.row_settings(row, "crack_forest"))
        for row in ("searched", "random", "uniform", "lora_random", "lora_8_all")
    }
    assert {(params.train.view, params.train.batch_size) for params in settings.values()} == {("crops", 4)}
    searched = settings["searched"]
    for row in ("random", "uniform"):
        assert settings[row].adapter == searched.adapter
        search = settings[row].search
        assert search.alphas == row
        assert (search.space, search.budget, search.max_parameters) == ("choices", 1.02, searched.search.max_parameters)
    assert settings["lora_random"].search.max_parameters == searched.search.max_parameters
    assert settings["lora_8_all"].adapter.target_modules == searched.adapter.target_modules


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("reference: other", "reference 'other' is none of its rows one, two"),
        ("rows: {}", "is no table"),
        ("colour: red", "colour"),
        (
            "rivals: {unet: three}",
            "rivals gives 'unet' the time of 'three'; write a new name and one of its rows one, two",
        ),
        ("rivals: {two: one}", "rivals gives 'two' the time of 'one'; write a new name"),
        ("transfers: {other: three}", "transfers gives 'other' the architecture of 'three'; write a new name"),
        ("transfers: {two: one}", "transfers gives 'two' the architecture of 'one'; write a new name"),
        ("transfers: {three: one}", "transfers needs an architecture found on another domain.* has only leaves"),
        ("domain_settings: {trees: []}", "domain_settings names 'trees', which is none of its domains leaves"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(tmp_path, change, message):
    content = {
        "question": "question: why",
        "reference": "reference: one",
        "domains": "domains: [leaves]",
        "seeds": "seeds: [7]",
        "rows": "rows: {one: [], two: []}",
    }
    content[change.partition(":")[0]] = change
    path = tmp_path / "wrong.yaml"
    path.write_text("\n".join(content.values()))
    with pytest.raises(ConfigError, match=message):
        load_table(path)
    with pytest.raises(ConfigError, match=r"gone.yaml not found; tables in .*: wrong"):
        load_table(tmp_path / "gone.yaml")
