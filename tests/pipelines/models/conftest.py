"""Two people on one project: a bare git repository, a shared folder as DVC remote, and clones of both."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from naslora_core.evaluation.metrics import METRICS
from tests.fixtures.once import made_once
from tests.fixtures.preloaded import fast_python
from tests.pipelines.conftest import DVC_YAML, NASLORA, REPOSITORY, STAGE, Project, write_domain

_CONFIG = """[core]
    analytics = false
    check_update = false
    remote = store
['remote "store"']
    url = {store}
"""
# In the stand-in for the stages settings have a part in the weights and in their score, and results are kept.
_SETTINGS = {
    "stage, domain = ": "import re\n"
    'epochs = int(re.search(r"\\bepochs:\\s+(\\d+)", pathlib.Path("params.yaml").read_text())[1])\n'
    "stage, domain = ",
    'read_text())\n    (out / "adapter.json")': 'read_text() + str(epochs))\n    (out / "adapter.json")',
    " else 0.5\n": " else 0.5\n    score += (epochs - 12) / 100\n",
}
_KEEP = """
from naslora_core.progress import silent
from stages.run_cache import keep_result
keep_result(silent)
"""


class Checkout(Project):
    """A clone, in which commands are typed as a message prints them."""

    def shell(self, line: str, fails: bool = False) -> str:
        """Run a line of a shell and return all it printed; `fails` says whether an exit code but 0 is wanted."""
        done = subprocess.run(
            line, cwd=self.root, env=_environment(self.root), capture_output=True, text=True, check=False,
            shell=True, timeout=300,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def share(self, message: str) -> None:
        """Commit what a run has changed, and push it and the files that DVC keeps, as docs/flows.md says."""
        self.shell(f"git add . && git commit --quiet -m '{message}' && git push --quiet && dvc push --quiet")

    def served(self, domain: str = "discs") -> bytes:
        """The weights in service."""
        return (self.root / "serving" / domain / "model.safetensors").read_bytes()


class Team:
    """A shared repository and remote, from which every call of `clone` makes another checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def clone(self, name: str) -> Checkout:
        """Return a new clone, into which nothing has been fetched yet."""
        target = self.folder / name
        subprocess.run(["git", "clone", "--quiet", self.folder / "hub.git", target], check=True)
        return Checkout(target)


def _environment(root: Path) -> dict[str, str]:
    """Return an environment in which `naslora` and `dvc` are programs of this Python and this code."""
    programs = root.parent / "bin"
    if not programs.is_dir():
        programs.mkdir()
        for name, words in (("naslora", NASLORA[1:]), ("dvc", ("-m", "dvc"))):
            (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join((fast_python(), *words))} "$@"\n')
            (programs / name).chmod(0o755)
    path = os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath)))
    python_path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    named = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _PERSON.items()}
    return {**os.environ, "PATH": path, "PYTHONPATH": python_path, **named}


_PERSON = {"NAME": "Test", "EMAIL": "test@example.org"}


def _stand_in() -> str:
    text = STAGE.replace("METRIC_NAMES", repr(tuple(METRICS)))
    for before, after in _SETTINGS.items():
        assert before in text
        text = text.replace(before, after)
    return text + _KEEP


@pytest.fixture(scope="session")
def shared_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a team whose first member has run the project and shared all; do not change it."""
    return made_once(tmp_path_factory, "team", _run_and_share)


def _run_and_share(folder: Path) -> None:
    first = folder / "first"
    write_domain(first / "data" / "discs", seed=0)
    (first / "stage.py").write_text(_stand_in())
    editor = YAML(typ="safe")
    pipeline = editor.load(DVC_YAML)
    for stage in pipeline["stages"].values():
        # As the shipped dvc.yaml has them: kept by the stage, and not by DVC.
        stage["outs"] = [{path: {"cache": False}} for path in stage["outs"]]
    editor.dump(pipeline, first / "dvc.yaml")
    params = editor.load((REPOSITORY / "params.yaml").read_text())
    params["domains"], params["model"]["checkpoint"] = ["discs"], "models/base.safetensors"
    editor.dump(params, first / "params.yaml")
    (first / "models").mkdir()
    (first / "models" / "base.safetensors").write_bytes(b"weights")
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, first / name)
    checkout = Checkout(first)
    checkout.shell(
        "git init --quiet --bare --initial-branch main ../hub.git && git init --quiet --initial-branch main && "
        "git remote add origin ../hub.git && dvc init --quiet && "
        "git add . && git commit --quiet -m Empty && git push --quiet --set-upstream origin main"
    )
    (first / ".dvc" / "config").write_text(_CONFIG.format(store=folder / "store"))
    checkout.shell("dvc add --quiet data models/base.safetensors && naslora run")
    checkout.share("First models")
    checkout.executed()


@pytest.fixture
def team(shared_project: Path, tmp_path: Path) -> Team:
    """Return a copy of that team, in which each test does what it likes."""
    folder = tmp_path / "team"
    shutil.copytree(shared_project, folder, copy_function=shutil.copy2)
    first = Checkout(folder / "first")
    (first.root / ".dvc" / "config").write_text(_CONFIG.format(store=folder / "store"))
    first.shell("git commit --quiet -am 'Move the remote' && git push --quiet")
    return Team(folder)


@pytest.fixture
def first(team: Team) -> Checkout:
    """Return the checkout in which everything was computed."""
    return Checkout(team.folder / "first")


@pytest.fixture
def clone(team: Team) -> Checkout:
    """Return a colleague's clone of it, into which nothing has been fetched yet."""
    return team.clone("second")


@pytest.fixture
def commands() -> Callable[[str], list[str]]:
    """Return a function that returns the commands that a message prints below its explanation."""
    return lambda printed: [line.strip() for line in printed.splitlines() if line.startswith("  ")]
