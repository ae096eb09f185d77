"""Who may import whom: pipelines -> stages -> naslora_core, and each tool in one place."""

import ast
from pathlib import Path

import pytest

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
    "typer": ("pipelines/cli",),
    "prefect": ("pipelines/",),
    "great_expectations": ("naslora_core/quality/",),
    "segment_anything": ("naslora_core/sam/",),
    "dvc": (),
    "fastapi": ("pipelines/serve/",),
    "starlette": ("pipelines/serve/",),
    "uvicorn": ("pipelines/cli/serve",),
    "onnx": ("naslora_core/export/",),
    "onnxruntime": ("naslora_core/export/",),
    "dvclive": ("stages/curves",),
    "torch.utils.tensorboard": ("stages/curves",),
    "rich": ("stages/console",),
}


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
        "stages.paths",
        "stages.runner",
    }


def test_the_test_sees_an_import_in_a_function():
    assert "pipelines.run.gate.check_domains" in imported(ROOT / "pipelines/run/steps.py")
