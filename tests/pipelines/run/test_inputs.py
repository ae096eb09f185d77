"""What a run refuses to begin without."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from naslora_core.config import Params, load_params
from naslora_core.errors import ConfigError
from pipelines.run.inputs import require_inputs
from tests.stages.drawn import DOMAIN, draw_project

ROOT = Path(__file__).parents[3]
NAMED = [
    key.split(".")
    for stage in YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    for key in stage["params"]
]


def has_default(path: list[str]) -> bool:
    section: type[BaseModel] = Params
    for part in path[:-1]:
        section = section.model_fields[part].annotation  # type: ignore[assignment]
    return not section.model_fields[path[-1]].is_required()


@pytest.mark.parametrize("path", [path for path in NAMED if has_default(path)], ids=".".join)
def test_a_params_file_without_a_setting_that_dvc_names_is_told_what_to_write(path: list[str], tmp_path: Path) -> None:
    root = tmp_path / "project"
    settings = draw_project(root)
    require_inputs(root, load_params(root / "params.yaml", settings), [DOMAIN])
    yaml, file = YAML(), root / "params.yaml"
    content = yaml.load(file)
    del content[path[0]][path[1]]
    yaml.dump(content, file)
    with pytest.raises(ConfigError, match=rf"has no {'.'.join(path)}.*add below '{path[0]}:'"):
        require_inputs(root, load_params(file, settings), [DOMAIN])


def test_a_setting_with_a_default_can_be_replaced_where_the_file_has_none(tmp_path: Path) -> None:
    draw_project(tmp_path)
    file = tmp_path / "params.yaml"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    new = tuple(f"  {key}:" for key in ("view", "scale", "detail", "flips", "overlap"))
    old = [line for line in lines if not line.startswith(new)]
    assert len(lines) - len(old) == 5
    file.write_text("".join(old), encoding="utf-8")
    params = load_params(file)
    assert (params.train.view, params.train.detail, params.evaluate.flips) == ("whole", "off", "none")
    params = load_params(file, ["train.view=crops", "train.scale=2", "evaluate.flips=all"])
    assert (params.train.view, params.train.scale, params.evaluate.flips) == ("crops", 2, "all")
    for unknown in ("train.veiw=crops", "train.view.deep=1", "trian.view=crops", "seed.view=1"):
        with pytest.raises(ConfigError, match="unknown parameter"):
            load_params(file, [unknown])


def test_the_file_that_stands_for_no_architecture_is_made_where_it_is_missing(tmp_path: Path) -> None:
    params = load_params(tmp_path / "params.yaml", draw_project(tmp_path))
    require_inputs(tmp_path, params, [DOMAIN])
    assert json.loads((tmp_path / params.search.from_).read_text(encoding="utf-8")) == {"format": 1, "layers": []}


def test_an_architecture_that_is_missing_is_named(tmp_path: Path) -> None:
    params = load_params(tmp_path / "params.yaml", [*draw_project(tmp_path), "search.from=found.json"])
    with pytest.raises(ConfigError, match="search.from is found.json, and there is no such file"):
        require_inputs(tmp_path, params, [DOMAIN])


def test_a_params_file_of_before_is_told_of_the_architecture(tmp_path: Path) -> None:
    settings = draw_project(tmp_path)
    path = tmp_path / "params.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("  from:")), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"no search.from.*add below 'search:' the line 'from: architectures/free.json'"
    ):
        require_inputs(tmp_path, load_params(path, settings), [DOMAIN])
