"""After a conflict in git the printed commands lead to the published side, in a merge, in a rebase and in a stash."""

import subprocess
from pathlib import Path

import pytest

from naslora_core.errors import PipelineError
from pipelines.models.conflicts import require_no_conflict

# A subfolder of the repository, with a blank in its name.
PROJECT = "a project"
NAMED = "git -c user.name=a -c user.email=a@example.org"


def git(folder: Path, line: str, fails: bool = False) -> str:
    done = subprocess.run(
        line.replace("git ", f"{NAMED} ", 1), shell=True, cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout


def promote(checkout: Path, number: int, by: str) -> None:
    """Write what a run leaves in git."""
    project = checkout / PROJECT
    files = {
        "registry/discs.json": f'{{"serving": {number},\n "by": "{by}"}}\n',
        f"registry/discs/{number}.dvc": f"{by}\n",
        "dvc.lock": f"by: {by}\n",
        "artifacts/evaluate/discs/metrics.json": f'"{by}"\n',
    }
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    git(checkout, "git add .")


@pytest.fixture
def checkouts(tmp_path: Path) -> tuple[Path, Path]:
    """Two clones of one repository; the first one has pushed a promotion, the second has made another one."""
    git(tmp_path, "git init --quiet --bare --initial-branch main hub.git")
    git(tmp_path, "git clone --quiet hub.git first")
    first, second = tmp_path / "first", tmp_path / "second"
    promote(first, 1, "nobody")
    git(first, "git commit --quiet -m 1")
    git(first, "git push --quiet --set-upstream origin HEAD")
    git(tmp_path, "git clone --quiet hub.git second")
    promote(first, 2, "the first")
    git(first, "git commit --quiet -m 2")
    git(first, "git push --quiet")
    promote(second, 2, "the second")
    return first, second


@pytest.mark.parametrize("way", ["merge", "rebase", "stash"])
def test_the_printed_commands_take_the_published_side(checkouts, way):
    first, second = checkouts
    if way == "stash":
        git(second, "git stash --quiet")
        git(second, "git pull --quiet")
        git(second, "git stash pop", fails=True)
    else:
        git(second, "git commit --quiet -m 3")
        git(second, "git pull --no-rebase" if way == "merge" else "git pull --rebase", fails=True)
    with pytest.raises(PipelineError, match=r"dvc\.lock, registry/discs\.json, registry/discs/2\.dvc\. Take") as caught:
        require_no_conflict(second / PROJECT)
    commands = [line.strip() for line in str(caught.value).splitlines() if line.startswith("  ")]
    assert commands[-2:] == ["dvc pull", "naslora run"]
    for command in commands[:-2]:
        git(second / PROJECT, command)
    require_no_conflict(second / PROJECT)
    for name in ("registry/discs.json", "registry/discs/2.dvc", "dvc.lock"):
        assert (second / PROJECT / name).read_text() == (first / PROJECT / name).read_text()
    assert git(second, "git status --porcelain") == ""


def test_a_branch_of_ones_own_loses_against_the_published_one(checkouts):
    _, second = checkouts
    git(second, "git checkout --quiet -b mine")
    git(second, "git commit --quiet -m 3")
    git(second, "git checkout --quiet main")
    git(second, "git pull --quiet")
    git(second, "git merge mine", fails=True)
    with pytest.raises(PipelineError, match="git checkout HEAD -- artifacts"):
        require_no_conflict(second / PROJECT)


def test_what_a_person_has_to_decide_comes_first(checkouts):
    first, second = checkouts
    for checkout, epochs in ((first, 3), (second, 4)):
        (checkout / PROJECT / "params.yaml").write_text(f"epochs: {epochs}\n")
        git(checkout, "git add .")
        git(checkout, "git commit --quiet -m epochs")
    git(first, "git push --quiet")
    git(second, "git pull --no-rebase", fails=True)
    with pytest.raises(PipelineError, match=r"Correct params\.yaml yourself, then[^$]*\n  git add params\.yaml\n"):
        require_no_conflict(second / PROJECT)


def test_marks_that_were_committed_are_not_to_be_restored(checkouts):
    first, _ = checkouts
    (first / PROJECT / "params.yaml").write_text("<<<<<<< HEAD\nepochs: 3\n")
    git(first, "git add .")
    git(first, "git commit --quiet -m marks")
    with pytest.raises(PipelineError, match=r"correct it; the last commit has them, too$"):
        require_no_conflict(first / PROJECT)
