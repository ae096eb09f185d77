"""dvc.yaml says what the code does: commands, settings, and the files a stage depends on."""

import ast
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from naslora_core.config import Params, load_params

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
ORDER = ["validate", "preprocess", "search_train", "merge", "evaluate", "report"]


def library(stage: str) -> list[str]:
    """The dependencies of a stage that are code."""
    return [dep for dep in STAGES[stage]["deps"] if dep.startswith(("naslora_core/", "stages/"))]


def test_the_pipeline_has_the_six_stages_in_their_order():
    assert list(STAGES) == ORDER


@pytest.mark.parametrize("stage", ORDER)
def test_the_command_is_a_module_that_runs_as_a_stage(stage):
    words = STAGES[stage]["cmd"].split()
    launch = "${launch}" if stage == "search_train" else "python"
    assert words[:3] == [launch, "-m", f"stages.{stage}"]
    assert words[3:] == (["--domain", "${item.domain}"] if "matrix" in STAGES[stage] else [])
    assert "run_stage(main" in (ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("stage", ORDER)
def test_every_parameter_is_a_setting(stage):
    params = load_params(ROOT / "params.yaml")
    for key in STAGES[stage]["params"]:
        value: object = params
        for part in key.split("."):
            assert isinstance(value, BaseModel)
            assert part in type(value).model_fields, f"{key} is no setting"
            value = getattr(value, part)


@pytest.mark.parametrize("stage", ORDER)
def test_every_setting_a_stage_reads_is_declared(stage):
    declared = {tuple(key.split(".")) for key in STAGES[stage]["params"]}
    # Stages find the base model through this setting; that the file is a dependency says more.
    declared |= {("model", "checkpoint")} if "${model.checkpoint}" in STAGES[stage]["deps"] else set()
    for key in settings_read(ROOT / "stages" / f"{stage}.py"):
        assert any(key[: len(known)] == known for known in declared), f"{'.'.join(key)} is not in params"


def settings_read(path: Path) -> set[tuple[str, ...]]:
    """The settings a file reads, as params.model.name -> ("model", "name"); passing all on reads all."""
    found: set[tuple[str, ...]] = set()
    seen: set[ast.AST] = set()
    # From the outside in, so that params.model is not taken for a part of params.model.name.
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("params.model_dump"):
            include = [keyword.value for keyword in node.keywords if keyword.arg == "include"]
            found |= {(str(key),) for value in include for key in ast.literal_eval(value)}
            seen |= {node.func, *ast.walk(node.func)} if include else set()
        elif isinstance(node, ast.Attribute) and node not in seen:
            words = ast.unparse(node).split(".")
            if words[0] == "params" and words[1] in Params.model_fields:
                found.add(tuple(words[1:]))
                seen |= set(ast.walk(node))
        elif isinstance(node, ast.Name) and node.id == "params" and node not in seen:
            found |= {(field,) for field in Params.model_fields}
    return found


@pytest.mark.parametrize("stage", ORDER)
def test_the_library_files_a_stage_uses_are_dependencies_and_no_others(stage):
    used = closure(ROOT / "stages" / f"{stage}.py")
    deps = library(stage)
    uncovered = sorted(file for file in used if not any(covers(dep, file) for dep in deps))
    assert uncovered == [], f"add to deps of {stage}"
    idle = [dep for dep in deps if not any(covers(dep, file) for file in used)]
    assert idle == [], f"take out of deps of {stage}"


def covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(dep + "/")


def closure(start: Path) -> set[str]:
    """The files of this project that a file imports, directly or through others."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += direct_imports(path)
    return {str(path.relative_to(ROOT)) for path in found if not is_empty(path)}


@cache
def direct_imports(path: Path) -> list[Path]:
    files: list[Path] = []
    for node in run_time_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            # Importing a.b.c runs a/__init__.py, a/b/__init__.py and a/b/c.py, where c may be a name in a.b.
            for length in range(1, len(parts) + 1):
                base = ROOT.joinpath(*parts[:length])
                files += [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()]
    return files


def run_time_nodes(tree: ast.AST) -> list[ast.AST]:
    """All nodes but those that only type checkers see."""
    nodes: list[ast.AST] = [tree]
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            nodes += run_time_nodes(child)
    return nodes


@cache
def is_empty(path: Path) -> bool:
    """Say whether a file holds nothing but a docstring."""
    return all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text(encoding="utf-8")).body)


def test_a_rejected_domain_blocks_what_follows():
    assert "artifacts/validate/${item.domain}/clearance.json" in STAGES["preprocess"]["deps"]


def test_no_stage_depends_on_what_differs_from_run_to_run():
    # Times, the gate's thresholds and findings other than what follows from them, and the caches and notes that may be
    # deleted at any time.
    for stage in ORDER[:-1]:
        for dep in STAGES[stage]["deps"]:
            assert not dep.startswith(("artifacts/timing", "artifacts/live", ".naslora", "serving", "registry")), stage
            assert not dep.startswith("artifacts/validate") or dep.endswith(("/clearance.json", "/view.json")), stage
    assert not any(dep.startswith("artifacts/timing") for dep in STAGES["report"]["deps"])


def test_the_report_follows_the_list_of_domains():
    assert "domains" in STAGES["report"]["params"]
