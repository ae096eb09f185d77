"""Data that others have pushed: a real git repository upstream, and a real DVC remote."""

import subprocess
from pathlib import Path

import pytest

from pipelines.flow.upstream import pull_upstream
from pipelines.run.lock import exclusive

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def sh(root: Path, *words: str) -> str:
    return subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout


def dvc(root: Path, *words: str) -> None:
    """Call DVC here: a process of its own for each call takes longer than the call."""
    from dvc.cli import main

    assert main(["--cd", str(root), *words]) == 0


def commit_data(root: Path, content: str) -> None:
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "leaf.txt").write_text(content)
    dvc(root, "add", "--quiet", "data")
    dvc(root, "push", "--quiet")
    sh(root, "git", "add", "--all")
    sh(root, "git", *AUTHOR, "commit", "--quiet", "-m", content)


@pytest.fixture
def two_people(tmp_path: Path) -> tuple[Path, Path]:
    """Two clones of one project: whose data it is, and who takes it over."""
    upstream, theirs, ours = (tmp_path / name for name in ("upstream.git", "theirs", "ours"))
    sh(tmp_path, "git", "init", "--quiet", "--bare", str(upstream))
    sh(tmp_path, "git", "clone", "--quiet", str(upstream), str(theirs))
    dvc(theirs, "init", "--quiet")
    dvc(theirs, "remote", "add", "--default", "store", str(tmp_path / "store"))
    commit_data(theirs, "first")
    sh(theirs, "git", "push", "--quiet", "--set-upstream", "origin", "HEAD")
    sh(tmp_path, "git", "clone", "--quiet", str(upstream), str(ours))
    dvc(ours, "pull", "--quiet")
    return theirs, ours


def test_what_others_pushed_is_fetched_once_and_never_over_a_run_or_own_commits(two_people):
    theirs, ours = two_people
    said: list[str] = []
    assert not pull_upstream(ours, said.append)
    assert said == []

    commit_data(theirs, "second")
    sh(theirs, "git", "push", "--quiet")
    with exclusive(ours, 0, print):
        assert not pull_upstream(ours, said.append)
    assert "the project is busy" in said.pop()
    assert (ours / "data" / "leaf.txt").read_text() == "first"
    assert pull_upstream(ours, said.append)
    assert (ours / "data" / "leaf.txt").read_text() == "second"
    assert "taken over" in said.pop()
    assert not pull_upstream(ours, said.append)

    commit_data(theirs, "third")
    sh(theirs, "git", "push", "--quiet")
    (ours / "note").write_text("ours")
    sh(ours, "git", "add", "note")
    sh(ours, "git", *AUTHOR, "commit", "--quiet", "-m", "ours")
    assert not pull_upstream(ours, said.append)
    assert "git merge failed" in said.pop()
    assert (ours / "data" / "leaf.txt").read_text() == "second"
