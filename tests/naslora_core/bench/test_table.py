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
    for row in table.rows:
        params = load_params(ROOT / "params.yaml", table.row_settings(row))
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
