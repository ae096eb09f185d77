"""What others have pushed: a real git repository upstream, and a real DVC remote."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.flow.upstream import pull_upstream
from pipelines.models.registry import ModelRegistry, ModelVersion, Record
from pipelines.run.lock import exclusive

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")
SETTINGS = "domains: [leaves]\nmodel:\n  checkpoint: models/base.bin\n"


def sh(root: Path, *words: str) -> str:
    return subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def dvc(root: Path, *words: str) -> None:
    """Call DVC here: a process of its own for each call takes longer than the call."""
    from dvc.cli import main

    assert main(["--cd", str(root), words[0], "--quiet", *words[1:]]) == 0


@dataclass
class Clone:
    """A clone of the project, in a folder of a larger repository."""

    root: Path
    said: list[str] = field(default_factory=list)

    def look(self) -> bool:
        return pull_upstream(self.root, self.said.append)

    def head(self) -> str:
        return sh(self.root, "git", "rev-parse", "HEAD")

    def commit(self, message: str) -> str:
        sh(self.root, "git", "add", "--all")
        sh(self.root, "git", *AUTHOR, "commit", "--quiet", "-m", message)
        return self.head()

    def push(self) -> None:
        sh(self.root, "git", "push", "--quiet", "--set-upstream", "origin", "HEAD")

    def share(self, leaf: str, version: int = 0, sends: bool = True) -> str:
        """Commit data, and a model that goes into service; send files, unless told not to, and the commit."""
        (self.root / "data" / "leaves").mkdir(parents=True, exist_ok=True)
        (self.root / "data" / "leaves" / "leaf.txt").write_text(leaf)
        made = ["data"]
        if version:
            model = self.root / "registry" / "leaves" / str(version) / "model"
            model.mkdir(parents=True)
            (model / "weights").write_text(f"model {version}")
            made.append(f"registry/leaves/{version}")
        dvc(self.root, "add", *made)
        if version:
            self.record(version)
        if sends:
            dvc(self.root, "push")
        revision = self.commit(leaf)
        self.push()
        return revision

    def record(self, serving: int | None) -> None:
        numbers = [int(path.stem) for path in (self.root / "registry" / "leaves").glob("*.dvc")]
        record = Record(domain="leaves", versions=tuple(_version(number) for number in sorted(numbers)))
        record = record.decided(*(("promoted", serving) if serving else ("withdrawn", max(numbers))), "by hand")
        ModelRegistry(self.root).write(record)

    @property
    def leaf(self) -> str:
        return (self.root / "data" / "leaves" / "leaf.txt").read_text()

    @property
    def served(self) -> str:
        weights = self.root / "serving" / "leaves" / "weights"
        return weights.read_text() if weights.is_file() else ""


def _version(number: int) -> ModelVersion:
    files = {"model/weights": hashlib.sha256(f"model {number}".encode()).hexdigest()}
    return ModelVersion(
        number=number, created="2026-01-01T00:00:00+00:00", identity=str(number), files=files, data={}, params={},
        code="unknown", base={}, seeds=[1], certificate={}, metrics={}, yardstick="", training={},
    )  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the repository upstream, the DVC remote, and a clone of each of two people."""
    place = tmp_path_factory.mktemp("shared")
    for name in ("theirs", "ours"):
        if name == "theirs":
            sh(place, "git", "init", "--quiet", "--bare", "--initial-branch=main", "upstream.git")
        sh(place, "git", "clone", "--quiet", "upstream.git", name)
        root = place / name / "project"
        if name == "theirs":
            (root / "models").mkdir(parents=True)
            dvc(root, "init", "--subdir")
            dvc(root, "remote", "add", "--default", "store", "../../store")
            (root / "params.yaml").write_text(SETTINGS)
            (root / ".gitignore").write_text("/.naslora\n/serving\n")
            (root / "models" / "base.bin").write_text("base")
            dvc(root, "add", "models/base.bin")
            Clone(root).share("first", version=1)
        dvc(root, "pull")
    return place


@pytest.fixture
def people(shared: Path, tmp_path: Path) -> tuple[Clone, Clone]:
    """Whose work it is, and who takes it over."""
    shutil.copytree(shared, tmp_path / "copy", symlinks=True)
    clones = [Clone(tmp_path / "copy" / name / "project") for name in ("theirs", "ours")]
    for clone in clones:
        sh(clone.root, "git", "remote", "set-url", "origin", str(tmp_path / "copy" / "upstream.git"))
    return clones[0], clones[1]


def test_data_and_the_model_in_service_come_along_once_and_never_during_a_run(people):
    theirs, ours = people
    assert not ours.look()
    assert ours.said == []

    revision = theirs.share("second", version=2)
    with exclusive(ours.root, 0, print):
        assert not ours.look()
    assert "the project is busy" in ours.said.pop()
    assert ours.leaf == "first"
    assert ours.look()
    assert (ours.head(), ours.leaf, ours.served) == (revision, "second", "model 2")
    assert f"commit {revision[:7]} taken over" in ours.said.pop()
    assert sh(ours.root, "git", "status", "--porcelain") == ""
    assert not ours.look()
    assert ours.said == []


def test_a_decision_of_others_and_their_settings_need_no_new_data(people):
    theirs, ours = people
    theirs.share("first", version=2)
    assert ours.look()
    assert ours.served == "model 2"
    theirs.record(1)
    (theirs.root / "params.yaml").write_text(f"{SETTINGS}seed: 3\n")
    theirs.commit("Back to version 1")
    theirs.push()
    assert ours.look()
    assert ours.served == "model 1"
    assert "seed: 3" in (ours.root / "params.yaml").read_text()


def test_what_the_remote_lacks_leaves_all_as_it_was_and_comes_later(people):
    theirs, ours = people
    before = ours.head()
    theirs.share("second", version=2, sends=False)
    for pushed, lacking in (((), "data.dvc, registry/leaves/2.dvc"), (("data.dvc",), "registry/leaves/2.dvc")):
        if pushed:
            dvc(theirs.root, "push", *pushed)
        assert not ours.look()
        assert f"upstream not taken over: the default remote lacks what {lacking} names" in ours.said.pop()
        assert (ours.head(), ours.leaf, ours.served) == (before, "first", "")
        assert sh(ours.root, "git", "status", "--porcelain") == ""
    dvc(theirs.root, "push")
    assert ours.look()
    assert (ours.leaf, ours.served) == ("second", "model 2")


def test_a_look_that_was_killed_is_made_up_for(people, monkeypatch):
    theirs, ours = people
    theirs.share("second", version=2)
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.flow.upstream.dvc.call", _killed)
        with pytest.raises(KeyboardInterrupt):
            ours.look()
    assert (ours.head(), ours.leaf) == (theirs.head(), "first")
    assert ours.look()
    assert (ours.leaf, ours.served) == ("second", "model 2")
    assert not ours.look()


def _killed(*words: object) -> None:
    raise KeyboardInterrupt


def _write_data(ours: Clone) -> None:
    (ours.root / "data" / "leaves" / "leaf.txt").write_text("own")


def _write_settings(ours: Clone) -> None:
    (ours.root / "params.yaml").write_text(f"{SETTINGS}seed: 4\n")


def _commit_own(ours: Clone) -> None:
    (ours.root / "note").write_text("own")
    ours.commit("own")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (_write_data, "dvc checkout --force data.dvc"),
        (_write_settings, "params.yaml"),
        (_commit_own, "git pull && dvc pull"),
    ],
)
def test_work_of_ones_own_is_never_lost(people, own: Callable[[Clone], None], said: str):
    theirs, ours = people
    (theirs.root / "params.yaml").write_text(f"{SETTINGS}seed: 3\n")
    theirs.share("second")
    own(ours)
    before = (ours.head(), ours.leaf, (ours.root / "params.yaml").read_text())
    assert not ours.look()
    assert said in ours.said.pop()
    assert (ours.head(), ours.leaf, (ours.root / "params.yaml").read_text()) == before
