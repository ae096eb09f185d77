"""Which files a run asks to be committed, with real git."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.run.to_commit import files_to_commit, stored_in_repository
from tests.fixtures.preloaded import fast_python

REPOSITORY = Path(__file__).parents[3]
SMALL = ("artifacts/evaluate/leaf/metrics.json", "artifacts/search_train/leaf/history.csv",
         "artifacts/search_train/leaf/metrics.json")  # fmt: skip
LARGE = ("artifacts/merge/leaf/model.safetensors", "registry/leaf/1/model/model.safetensors", "data/leaf/a.png")


@pytest.fixture(params=["", pytest.param("projects/my leaves", marks=pytest.mark.slow)], ids=["top", "subfolder"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a project that was committed before its first run."""
    folder = tmp_path / "repository" / request.param
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / ".gitignore", folder)
    write(folder, "params.yaml", "dvc.yaml", "data.dvc")
    git(tmp_path / "repository", "init", "--quiet")
    commit(folder)
    return folder


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=Ana", "-c", "user.email=ana@example.org")
    return subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A run")


def write(folder: Path, *names: str, content: str = "") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def test_after_a_first_run_its_records_are_named_and_nothing_else_is_left(root: Path):
    write(root, "dvc.lock", "registry/leaf.json", "registry/leaf/1.dvc", *SMALL, *LARGE)
    wanted = files_to_commit(root)
    assert wanted == ("artifacts", "dvc.lock", "registry")
    git(root, "add", *wanted)
    git(root, "commit", "--quiet", "--message", "A run")
    assert git(root, "status", "--porcelain") == ""
    tracked = git(root, "ls-files").split("\n")
    assert set(SMALL) < set(tracked)
    assert not set(LARGE) & set(tracked)
    assert files_to_commit(root) == ()


def test_what_is_no_record_of_a_run_is_left_to_the_user(root: Path):
    write(root, "dvc.lock", "registry/leaf.json", "registry/notes.txt", "notes.txt", "naslora_core/mine.py")
    write(root, "params.yaml", content="seed: 8")
    assert set(files_to_commit(root)) == {"dvc.lock", "params.yaml", "registry/leaf.json"}


def test_records_of_a_removed_domain_are_named(root: Path):
    write(root, "dvc.lock", *SMALL)
    commit(root)
    shutil.rmtree(root / "artifacts")
    assert files_to_commit(root) == ("artifacts",)
    git(root, "add", "artifacts")
    git(root, "commit", "--quiet", "--message", "Without leaf")
    assert files_to_commit(root) == ()


def test_outside_git_nothing_is_named(tmp_path: Path):
    write(tmp_path, "dvc.lock")
    assert files_to_commit(tmp_path) == ()


def test_a_remote_inside_the_repository_is_told_from_one_outside(root: Path, tmp_path: Path):
    def dvc(*words: str) -> None:
        subprocess.run([fast_python(), "-m", "dvc", *words], cwd=root, capture_output=True, check=True)

    dvc("init", "--quiet", "--subdir")
    assert stored_in_repository(root) is None
    dvc("remote", "add", "--default", "store", "store of mine")
    assert stored_in_repository(root) == str(root / "store of mine")
    write(root, ".gitignore", content="/store of mine/\n")
    assert stored_in_repository(root) is None
    dvc("remote", "modify", "store", "url", str(tmp_path / "outside"))
    assert stored_in_repository(root) is None
