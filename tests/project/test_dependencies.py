"""Who may import whom: pipelines -> stages -> naslora_core, and each tool in one place."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.project.test_pipeline_files import closure

ROOT = Path(__file__).parents[2]
PACKAGES = ("naslora_core", "stages", "pipelines")
FILES = sorted(str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.py"))

# What must not be imported, by the beginning of the importing file's path.
FORBIDDEN = {
    "naslora_core": ("stages", "pipelines"),
    "stages": ("pipelines",),
    "naslora_core/evaluation": ("naslora_core.training",),
    "naslora_core/training": ("naslora_core.evaluation",),
    "naslora_core/sam": ("naslora_core.adapters",),
    "naslora_core/adapters": ("naslora_core.sam",),
}
# The only places, as beginnings of paths, where a package may be imported.
HOMES = {
    "typer": ("pipelines/cli/",),
    "prefect": ("pipelines/flow/",),
    "prefect_dask": ("pipelines/flow/",),
    "prefect_ray": ("pipelines/flow/",),
    "tzlocal": ("pipelines/flow/",),
    "great_expectations": ("naslora_core/quality/",),
    "segment_anything": ("naslora_core/sam/",),
    "timm": ("naslora_core/sam/families/mobile_sam",),
    "dvc": ("stages/run_cache", "pipelines/dvc/"),
    "fastapi": ("pipelines/serve/",),
    "starlette": ("pipelines/serve/",),
    "uvicorn": ("pipelines/cli/serve",),
    "onnx": ("naslora_core/export/",),
    "onnxruntime": ("naslora_core/export/",),
    "dvclive": ("stages/curves",),
    "torch.utils.tensorboard": ("stages/curves",),
    "rich": ("stages/console",),
}
# Which packages of pipelines/ a package may import from. There is no circle.
PIPELINE_IMPORTS: dict[str, tuple[str, ...]] = {
    "json_document": (),
    "stage_server": (),
    "dvc": ("stage_server",),
    "models": ("dvc",),
    "run": ("dvc", "models", "stage_server"),
    "flow": ("dvc", "models", "run"),
    "predict": (),
    "serve": ("predict", "json_document"),
    "bench": (),
    "cli": ("bench", "dvc", "flow", "json_document", "models", "predict", "run", "serve", "stage_server"),
}
# The same for the core; all may import the shared modules, single files in naslora_core/.
SHARED = {"config", "deferred", "errors", "files", "parallel", "progress", "reading", "registry", "telemetry", "timing"}
CORE_IMPORTS: dict[str, tuple[str, ...]] = {
    "geometry": (),
    "ops": (),
    "cell": ("geometry", "ops"),
    "adapters": ("cell", "geometry", "ops"),
    "sam": ("geometry",),
    "adapted": ("adapters", "cell", "geometry", "ops", "sam"),
    "data/dataset": (),
    "data/prepared": ("data/dataset", "geometry", "sam"),
    "data/preprocess": ("data/dataset", "data/prepared", "sam"),
    "data/curation": ("data/dataset", "data/prepared"),
    "data/importers": ("data/curation", "data/dataset", "geometry"),
    "data/synthetic": ("data/dataset", "sam"),
    "quality": ("data/dataset", "sam"),
    "validation": ("data/prepared", "sam"),
    "training": ("adapted", "adapters", "cell", "data/prepared", "ops", "sam", "validation"),
    "merge": ("adapted", "adapters", "cell", "data/prepared", "geometry", "ops", "sam", "validation"),
    "predict": ("adapted", "geometry", "merge", "sam"),
    "export": ("adapted", "data/dataset", "data/prepared", "geometry", "merge", "sam"),
    "evaluation": ("data/dataset",),
    "pictures": ("data/dataset", "data/prepared", "evaluation", "geometry", "sam"),
    "report": ("adapted", "pictures", "quality"),
    "bench": (
        "adapted",
        "adapters",
        "data/dataset",
        "data/prepared",
        "evaluation",
        "geometry",
        "ops",
        "report",
        "sam",
        "training",
        "validation",
    ),
    "pretraining": ("data/dataset", "data/synthetic", "geometry", "sam"),
}
# What a trained model is used by: none of these loads the code that trains one, directly or through others.
TRAINING_FREE = (
    "naslora_core/merge/",
    "naslora_core/predict",
    "naslora_core/export/",
    "naslora_core/adapted/",
    "pipelines/predict/",
    "pipelines/serve/",
)


@cache
def imported(path: Path) -> set[str]:
    """The full names a file imports, anywhere in it; relative imports do not occur."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("file", FILES)
def test_imports_point_one_way(file):
    names = imported(ROOT / file)
    for place, packages in FORBIDDEN.items():
        if file.startswith(place + "/"):
            assert not [name for name in names for package in packages if within(name, package)]
    for package, places in HOMES.items():
        if not file.startswith(places):
            assert not [name for name in names if within(name, package)], f"{file} must not know {package}"


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("stages/")])
def test_stages_meet_in_files_only(file):
    others = {name for name in imported(ROOT / file) if within(name, "stages")}
    assert {".".join(name.split(".")[:2]) for name in others} <= {
        "stages.console",
        "stages.curves",
        "stages.fit",
        "stages.inputs_at_start",
        "stages.paths",
        "stages.provenance",
        "stages.run_cache",
        "stages.runner",
    }


def pipeline_package(name: str) -> str:
    """The package that a file or a module of pipelines lies in."""
    return Path(name.replace(".py", "").replace(".", "/")).parts[1]


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("pipelines/") and "/__init__" not in file])
def test_packages_of_the_pipelines_import_from_few_others(file):
    own = pipeline_package(file)
    others = {pipeline_package(name) for name in imported(ROOT / file) if within(name, "pipelines")} - {own}
    assert others <= set(PIPELINE_IMPORTS[own])


def core_package(name: str) -> str:
    """The package that a module of naslora_core lies in: a folder, one of data's folders, or a file by itself."""
    parts = name.split(".")[1:]
    return "/".join(parts[: 2 if parts[0] == "data" else 1])


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.startswith("naslora_core/") and not file.endswith("/__init__.py")]
)
def test_packages_of_the_core_import_from_few_others(file):
    own = core_package(file.removesuffix(".py").replace("/", "."))
    names = {name for name in imported(ROOT / file) if within(name, "naslora_core") and name.count(".") > 1}
    others = {core_package(name) for name in names} - {own} - SHARED
    assert others <= set(CORE_IMPORTS.get(own, ()))
    assert own in CORE_IMPORTS or own in SHARED


@pytest.mark.parametrize("packages", [PIPELINE_IMPORTS, CORE_IMPORTS])
def test_the_packages_have_no_circle(packages):
    done: set[str] = set()
    while ready := {name for name, below in packages.items() if name not in done and set(below) <= done}:
        done |= ready
    assert done == set(packages)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(TRAINING_FREE)])
def test_using_a_model_loads_nothing_of_training(file):
    assert not [name for name in closure(ROOT / file) if name.startswith("naslora_core/training/")]


def test_the_test_sees_an_import_in_a_function():
    assert "pipelines.run.gate.check_domains" in imported(ROOT / "pipelines/run/steps.py")
