"""What was computed before is found again, with the pipeline that ships: here, and in a clone that shares a remote."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipelines.dvc.command import environment
from tests.stages.drawn import DOMAIN, draw_project

REPOSITORY = Path(__file__).parents[3]
SMALL = {
    "model": {"image_size": 64},
    "quality": {"min_pairs": 12},
    "adapter": {"rank": 2},
    "search": {"warmup_epochs": 0},
    "train": {"epochs": 2, "batch_size": 4},
    "merge": {"calibration_images": 4},
    "evaluate": {"gallery_size": 1},
}
DVC = (sys.executable, "-m", "dvc")
NASLORA = (sys.executable, "-c", "from pipelines.cli.app import main; main()")
LATE = ("search_train", "merge", "evaluate")
# Real stages on a shared machine.
pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]


class Checkout:
    """A checkout of the small project."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def set(self, section: str, **values: object) -> None:
        """Change settings of a section."""
        editor = YAML()
        params = editor.load((self.root / "params.yaml").read_text(encoding="utf-8"))
        params[section].update(values)
        editor.dump(params, self.root / "params.yaml")

    def do(self, *words: str) -> str:
        """Run a command that has to succeed; returns all that it printed."""
        env = environment() | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, cwd=self.root, env=env, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def commit(self) -> None:
        """Commit what git does not ignore, without registered models: here it is about what stages have made."""
        self.do("git", "add", "--all", "--", ".", ":!registry")
        self.do("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "state")

    def clone(self, root: Path) -> "Checkout":
        """Clone the committed state, and fetch data and base model as everybody does first."""
        self.do("git", "clone", "--quiet", str(self.root), str(root))
        copy = Checkout(root)
        copy.do(*DVC, "pull", "--quiet")
        return copy


def ran(printed: str) -> list[str]:
    """The stages that were run and not restored, from the output of dvc repro or of naslora run."""
    of_dvc = re.findall(r"^Running stage '(\w+)", printed, re.MULTILINE)
    return of_dvc + re.findall(rf"^(\w+)(?: · {DOMAIN})?$", printed, re.MULTILINE)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A project in git with a remote of its own, trained for two epochs, then for three; results are pushed."""
    root = tmp_path_factory.mktemp("shipped") / "first"
    for name in ("naslora_core", "stages"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root / name)
    draw_project(root)
    checkout = Checkout(root)
    editor = YAML()
    params = editor.load((root / "params.yaml").read_text(encoding="utf-8"))
    params["domains"] = [DOMAIN]
    editor.dump(params, root / "params.yaml")
    for section, values in SMALL.items():
        checkout.set(section, **values)
    checkout.do("git", "init", "--quiet")
    checkout.do(*DVC, "init", "--quiet")
    checkout.do(*DVC, "remote", "add", "--quiet", "--default", "store", str(root.parent / "store"))
    checkout.do(*DVC, "add", "--quiet", "data", "models/sam_tiny.safetensors")
    checkout.do(*DVC, "push", "--quiet")
    checkout.commit()
    assert ran(checkout.do(*NASLORA, "run")) == ["validate", "preprocess", *LATE, "report"]
    checkout.set("train", epochs=3)
    assert ran(checkout.do(*NASLORA, "run")) == [*LATE, "report"]
    said = checkout.do(*NASLORA, "results", "push")
    assert "10 results of stages" in said, said
    checkout.commit()
    return checkout


def test_going_back_to_earlier_settings_and_forth_trains_nothing(trained):
    trained.set("train", epochs=2)
    by_dvc = trained.do(*DVC, "repro", f"evaluate@{DOMAIN}")
    assert ran(by_dvc) == []
    assert f"Stage 'search_train@{DOMAIN}' is cached" in by_dvc
    trained.set("train", epochs=3)
    by_naslora = trained.do(*NASLORA, "run")
    assert not {*ran(by_naslora)} & {"validate", "preprocess", *LATE}
    assert f"search_train · {DOMAIN}: outputs taken from the cache" in by_naslora


@pytest.fixture(scope="module")
def second(trained, tmp_path_factory) -> Checkout:
    """A clone, in which nothing has been computed."""
    return trained.clone(tmp_path_factory.mktemp("clones") / "second")


def test_a_clone_takes_what_the_first_checkout_had_computed_for_other_settings(second):
    second.set("train", epochs=2)
    said = second.do(*NASLORA, "run")
    assert not {*ran(said)} & {"validate", "preprocess", *LATE}
    assert f"evaluate@{DOMAIN}" in re.search(r"fetched from remote 'store': (.*)", said)[1]


def test_a_clone_trains_nothing_where_the_gate_decides_the_same_by_another_threshold(second):
    for pairs in (11, 10):
        second.set("quality", min_pairs=pairs)
        assert not {*ran(second.do(*NASLORA, "run"))} & {"preprocess", *LATE}


def test_pull_brings_the_results_of_the_last_commit_into_a_clone_and_runs_nothing(trained, tmp_path):
    third = trained.clone(tmp_path / "third")
    said = third.do(*NASLORA, "results", "pull")
    assert f"evaluate@{DOMAIN}, report" in re.search(r"In place, as dvc.lock records them: (.*)", said)[1]
    assert third.do(*DVC, "status").strip() == "Data and pipelines are up to date."
    for name in ("merge", "report"):
        files = [path for path in (trained.root / "artifacts" / name).rglob("*") if path.is_file()]
        assert files
        assert all((third.root / path.relative_to(trained.root)).read_bytes() == path.read_bytes() for path in files)
