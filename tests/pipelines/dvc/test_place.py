"""What git says of a folder, and whether DVC is told to do without it."""

import subprocess
from pathlib import Path

import pytest

from naslora_core.errors import PipelineError
from pipelines.dvc.git import repository_state, require_repository
from pipelines.dvc.place import settle
from pipelines.run.doctor import examine
from stages.provenance import code_revision
from tests.fixtures.preloaded import fast_python

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def sh(folder: Path, *words: str) -> str:
    return subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def first_version(folder: Path) -> None:
    sh(folder, "git", "add", ".")
    sh(folder, "git", *AUTHOR, "commit", "--quiet", "--message", "First version")


def test_why_git_cannot_tell_is_told_apart_and_each_remedy_is_of_its_kind(tmp_path, monkeypatch):
    root = tmp_path / "outer" / "it's here"
    root.mkdir(parents=True)
    (root / "dvc.yaml").write_text("stages: {}\n")
    assert (repository_state(root).state, repository_state(root).remedy[:8]) == ("no repository", "git init")
    sh(root.parent, "git", "init", "--quiet")
    assert (repository_state(root).state, repository_state(root).remedy[:7]) == ("no commit", "git add")
    (root.parent / "other.py").touch()
    sh(root.parent, "git", "add", "other.py")
    sh(root.parent, "git", *AUTHOR, "commit", "--quiet", "--message", "Not the project")
    assert repository_state(root).state == "not tracked"
    assert code_revision(root) is None
    first_version(root.parent)
    found = repository_state(root)
    assert (found.state, found.commit) == ("found", sh(root, "git", "rev-parse", "HEAD"))

    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    other = repository_state(root)
    assert other.state == "other owner"
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    # What is advised, as the shell reads it, names the top of the repository.
    assert other.remedy == f"git config --global --add safe.directory {root.parent}"

    monkeypatch.setenv("PATH", str(tmp_path))
    assert repository_state(root).state == "no program"
    with pytest.raises(PipelineError, match="versions need it, and the program git is not installed; .*install git"):
        require_repository(root, "versions need it")


def test_only_this_projects_files_count_as_changes(tmp_path):
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dvc.yaml").write_text("stages: {}\n")
    sh(tmp_path, "git", "init", "--quiet")
    first_version(tmp_path)
    (tmp_path / "theirs" / "dvc.yaml").write_text("changed: {}\n")
    counted = ("--untracked-files=no", "--", "*.py", "dvc.yaml")
    ours, theirs = (code_revision(tmp_path / name, *counted) for name in ("ours", "theirs"))
    assert ours is not None
    assert theirs is not None
    assert (ours.is_changed, theirs.is_changed) == (False, True)


def test_a_hook_of_another_repository_does_not_send_git_there(tmp_path, monkeypatch):
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dvc.yaml").write_text(f"vars: [{name}]\n")
        sh(tmp_path / name, "git", "init", "--quiet")
        first_version(tmp_path / name)
    ours = sh(tmp_path / "ours", "git", "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs" / ".git"))
    assert repository_state(tmp_path / "ours").commit == ours


def test_dvc_works_without_git_and_uses_it_again_from_the_first_commit_on(tmp_path, monkeypatch):
    dvc, said = (fast_python(), "-m", "dvc"), list[str]()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    sh(tmp_path, "git", "init", "--quiet")
    sh(tmp_path, *dvc, "init", "--quiet")
    (tmp_path / ".git").rename(tmp_path / "git")
    settle(tmp_path, said.append)
    assert "the folder is in no git repository: naslora data log" in said.pop()
    sh(tmp_path, *dvc, "status")
    (tmp_path / ".dvc" / "config.local").unlink()
    (tmp_path / "params.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert next(finding.level for finding in examine() if finding.subject == "git") == "note"
    sh(tmp_path, *dvc, "status")

    (tmp_path / "git").rename(tmp_path / ".git")
    settle(tmp_path, said.append)
    assert "no commit yet" in said.pop()
    first_version(tmp_path)
    settle(tmp_path, said.append)
    assert said == []
    assert "no_scm" not in (tmp_path / ".dvc" / "config.local").read_text()
    assert sh(tmp_path, *dvc, "params", "diff") == ""
