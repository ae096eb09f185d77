"""The six stages, as a user runs them, in every place that a project may lie in."""

import compileall
import json
import os
import py_compile
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.fixtures.preloaded import preloaded_python
from tests.pipelines.places.place_makers import PLACES, Place, commit, copy_bytecode, git
from tests.stages.drawn import DOMAIN, REPOSITORY, draw_project

NASLORA = "from pipelines.cli.app import main; main()"
CODE = ("naslora_core", "stages", "pipelines")
FILES = ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore")
SETTINGS = {
    "model": {"image_size": 64},
    "train": {"epochs": 1, "warmup_steps": 1},
    "search": {"warmup_epochs": 0, "arch_every": 1},
    "adapter": {"rank": 2},
    "merge": {"calibration_images": 4},
    "evaluate": {"gallery_size": 1},
}
OUTPUTS = (
    f"validate/{DOMAIN}/verdict.json",
    f"preprocess/{DOMAIN}/manifest.json",
    f"search_train/{DOMAIN}/adapter.safetensors",
    f"merge/{DOMAIN}/model.safetensors",
    f"evaluate/{DOMAIN}/metrics.json",
    "report/index.html",
)
Run = Callable[..., str]


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    """A Python that starts fast."""
    with preloaded_python() as path:
        yield path


@pytest.fixture(scope="module")
def base(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has been pushed, to git and to a DVC remote, and has not run."""
    root: Path = tmp_path_factory.mktemp("base") / "project"
    for name in CODE:
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(root / name, quiet=1, invalidation_mode=unchecked)
    for file in FILES:
        (root / file).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / file, root / file)
    draw_project(root)
    editor = YAML()
    params = editor.load((root / "params.yaml").read_text())
    params["domains"] = [DOMAIN]
    for section, values in SETTINGS.items():
        params[section].update(values)
    editor.dump(params, root / "params.yaml")
    git(root, "init", "--quiet")
    for words in (
        ("remote", "add", "--force", "store", str(root.parent / "store")),
        ("add", "data", "models/sam_tiny.safetensors"),
        ("push",),
    ):
        subprocess.run([python, "-m", "dvc", *words, "--quiet"], cwd=root, check=True)
    commit(root, "A project")
    return root


def programs(python: Path, place: Place) -> tuple[Run, Run]:
    """Return functions that run naslora and dvc in a place, as a user does who is in its folder."""
    environment = {**os.environ, **place.environment}

    def run(*command: str, expected: int = 0) -> str:
        done = subprocess.run(
            [python, *command], cwd=place.root, env=environment, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout + done.stderr

    return (
        lambda *words, expected=0: run("-c", NASLORA, *words, expected=expected),
        lambda *words, expected=0: run("-m", "dvc", *words, expected=expected),
    )


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.parametrize("name", list(PLACES))
def test_every_stage_runs_and_what_git_cannot_tell_is_said_at_the_start(name, base, python, tmp_path):
    place = PLACES[name](base, tmp_path)
    copy_bytecode(base, place.root)
    naslora, dvc = programs(python, place)
    if name == "unpacked":
        # Without data, the run says what to do first; that has to work.
        assert "fetch with: dvc pull data.dvc" in naslora("run", expected=1)
    dvc("pull")

    said = naslora("run")
    assert [file for file in OUTPUTS if not (place.root / "artifacts" / file).is_file()] == []
    assert ("are not available; to have them:" in said.split("data check")[0]) is not place.has_git
    assert "Nothing has changed" in naslora("run")
    image = next((place.root / "data" / DOMAIN / "images").iterdir())
    naslora("predict", str(image), "--domain", DOMAIN, "--out", "masks")

    record = json.loads((place.root / "registry" / f"{DOMAIN}.json").read_text())
    code = record["versions"][0]["code"]
    page = (place.root / "artifacts" / "report" / "index.html").read_text()
    if place.has_git:
        head = git(place.root, "rev-parse", "HEAD")
        assert code == head
        assert f"{head}</code>" in page
        assert "model in service" in naslora("data", "log", DOMAIN)
    else:
        assert code == "unknown"
        assert "none: the " in page
        assert "to change that: git" in naslora("data", "log", DOMAIN, expected=1)
