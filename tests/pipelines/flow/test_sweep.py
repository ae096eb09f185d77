"""Many trainings at once, each in a clone of its own, with results shared through the project's DVC cache."""

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from naslora_core.errors import PipelineError
from pipelines.dvc import command
from pipelines.dvc.clones import Remote, clone, place_of
from pipelines.dvc.command import environment
from pipelines.flow.clone import fresh_clone, source_of
from pipelines.flow.sweep_job import SweepJob, default_threads, jobs_of, run_job
from tests.fixtures.preloaded import fast_python
from tests.pipelines.conftest import NASLORA
from tests.pipelines.flow.conftest import until

IGNORED = """
/artifacts/
/data/
/.naslora/
/serving/
/registry/
/first_run.txt
/slow
/dvcstore/
/.dvc/*
!/.dvc/config
"""


def sh(root: Path, *words: str) -> None:
    people = {f"GIT_{role}_{what}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(words, cwd=root, env=environment() | people, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def commit(root: Path, message: str = "start") -> None:
    sh(root, "git", "add", "--all")
    sh(root, "git", "commit", "--quiet", "-m", message)


@pytest.fixture
def committed(project):
    """The project in git; its stages say where they ran."""
    (project.root / ".gitignore").write_text(IGNORED)
    stage = (project.root / "stage.py").read_text()
    noted = stage.replace('open(".naslora/executed"', f'open("{project.root}/.naslora/executed"')
    (project.root / "stage.py").write_text(noted.replace('Path("slow")', f'Path("{project.root}/slow")'))
    sh(project.root, "git", "init", "--quiet")
    commit(project.root)
    return project


def silent(line: str) -> None:
    """Say nothing."""


def advised(message: str) -> str:
    """Return the commands of a message's list, to be typed one after the other."""
    return " && ".join(line.partition(": ")[2] for line in message.splitlines() if line.startswith("- "))


def test_everything_that_clones_would_lack_is_named_with_commands_that_work(committed):
    root = committed.root
    sh(root, "git", "rm", "--quiet", "--cached", "models/base.safetensors")
    (root / ".gitignore").write_text(IGNORED + "/models/*.safetensors\n")
    commit(root, "large files are no matter of git's")
    committed.edit_params("merge", max_metric_drop=0.5)
    committed.touch_image("discs")
    (root / "notes.txt").write_text("no input of a job")
    with pytest.raises(PipelineError) as error:
        source_of(root, ["discs", "squares"])
    message = str(error.value)
    assert "params.yaml" in message
    assert "data, which has changed since data.dvc was written" in message
    assert "models/base.safetensors, which neither git nor DVC tracks" in message
    assert "notes.txt" not in message
    told = advised(message)
    sh(root, "sh", "-c", told)
    # What has been pushed nowhere is here, and that is enough.
    source = source_of(root, ["discs"])
    assert source.pointers == ("data.dvc", "models/base.safetensors.dvc")
    with fresh_clone(source, {"merge.max_metric_drop": 0.25}) as clone:
        assert (clone / "models" / "base.safetensors").read_bytes() == b"weights"
        name = "data/discs/images/image_03.png"
        assert (clone / name).read_bytes() == (root / name).read_bytes()
        assert "max_metric_drop: 0.25" in (clone / "params.yaml").read_text()


def test_what_is_missing_from_the_cache_is_named_where_the_data_is_not_here_either(committed):
    shutil.rmtree(committed.root / "data")
    shutil.rmtree(committed.root / ".dvc" / "cache")
    with pytest.raises(PipelineError, match=r"data, which is not in DVC's cache: dvc fetch data\.dvc"):
        source_of(committed.root, ["discs"])


def test_a_project_may_be_a_folder_of_a_larger_repository_whose_other_changes_do_not_matter(committed, tmp_path):
    whole = tmp_path / "many projects"
    project = whole / "vision" / "leaf project"
    shutil.copytree(committed.root, project, ignore=shutil.ignore_patterns(".git"))
    (whole / "other.txt").write_text("of another team")
    sh(whole, "git", "init", "--quiet")
    commit(whole)
    (whole / "other.txt").write_text("changed by them")
    source = source_of(project, ["discs"])
    said: list[str] = []
    row = run_job(source, jobs_of(["discs"], ["nas_lora"], [7])[0], 1, said.append)
    assert "search_train · discs: outputs taken from the cache" in said
    assert not row["trained"]
    # A worktree has no DVC cache of its own.
    worktree = tmp_path / "a worktree"
    sh(whole, "git", "worktree", "add", "--quiet", "--detach", str(worktree))
    sh(worktree, "git", "commit", "--quiet", "--allow-empty", "-m", "only here")
    place = place_of(worktree / "vision" / "leaf project")
    assert (clone(place, tmp_path / "clone") / "params.yaml").is_file()
    assert place.revision != source.place.revision


def test_a_job_that_fails_says_what_the_program_has_said_and_keeps_its_output(committed):
    (committed.root / "broken").touch()
    committed.touch_image("discs")
    sh(committed.root, fast_python(), "-m", "dvc", "add", "--quiet", "data")
    commit(committed.root)
    source = source_of(committed.root, ["discs"])
    with pytest.raises(PipelineError) as error:
        run_job(source, jobs_of(["discs"], ["lora"], [5])[0], 1, silent)
    log = committed.root / ".naslora" / "logs" / "sweep-discs-lora-5.log"
    assert str(error.value) == (
        f"merge · discs failed: the loss became infinite in epoch 1;\nlower train.lr\nThe whole output is in {log}"
    )
    assert "epoch 1/2" in log.read_text()
    shutil.rmtree(committed.root / ".dvc" / "cache")
    with pytest.raises(PipelineError, match=r"dvc checkout failed in .*: Checkout failed for following targets:\ndata"):
        run_job(source, jobs_of(["discs"], ["lora"], [5])[0], 1, silent)


@pytest.mark.slow
def test_clusters_need_a_remote_that_all_machines_reach_and_that_has_the_inputs(committed, tmp_path):
    root = committed.root
    with pytest.raises(PipelineError, match="and the remote is none"):
        source_of(root, ["discs"], far=True)
    inside = str(root / "dvcstore")
    with pytest.raises(PipelineError, match="which is a folder in the repository"):
        source_of(root, ["discs"], inside, far=True)
    shared = str(tmp_path / "shared results")
    with pytest.raises(PipelineError, match="files that jobs need are not on the remote") as error:
        source_of(root, ["discs"], shared, far=True)
    told = str(error.value).rpartition(": ")[2]
    assert told == f"dvc remote add results '{shared}' && dvc push --remote results data.dvc"
    sh(root, "sh", "-c", told)
    source = source_of(root, ["discs"], "results", far=True)
    assert (source.cache, source.remote) == (None, Remote("results", shared))
    job = jobs_of(["discs"], ["lora"], [3])[0]
    shutil.rmtree(root / ".dvc" / "cache")
    assert run_job(source, job, 1, silent)["trained"]
    assert not run_job(source, job, 1, silent)["trained"]


def test_threads_of_all_workers_together_are_the_cores_at_most():
    assert default_threads(10_000) == 1
    assert default_threads(1) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["threads", "dask", "ray"])
def test_a_failed_job_does_not_stop_others_and_what_they_computed_is_found_again(committed, runner, capfd):
    if runner != "threads":
        pytest.importorskip(f"prefect_{runner}", reason=f"pip install 'naslora[{runner}]'")
    from prefect.testing.utilities import prefect_test_harness

    from pipelines.flow.sweep import run_sweep

    stage = committed.root / "stage.py"
    stage.write_text(f"import sys\nif 'squares' in sys.argv: sys.exit('error: no squares today')\n{stage.read_text()}")
    committed.touch_image("squares")
    sh(committed.root, fast_python(), "-m", "dvc", "add", "--quiet", "data")
    commit(committed.root, "squares fail")
    job = SweepJob("discs", "lora", 3)
    source = source_of(committed.root, ["discs", "squares"])
    with prefect_test_harness(server_startup_timeout=150):
        outcome = run_sweep(source, [job, *jobs_of(["squares"], ["lora"], [1, 2])], runner, 2, 1)
    assert [(row["domain"], row["method"], row["seed"], row["trained"]) for row in outcome.rows] == [
        ("discs", "lora", 3, True)
    ]
    assert "search_train@discs" in committed.executed()
    # What both jobs on squares need has failed once, before they started.
    assert len(outcome.failures) == 1
    assert outcome.failures[0].startswith("squares: validate · squares failed: no squares today")
    assert "Traceback" not in "".join(capfd.readouterr())
    if runner != "threads":
        return
    again = run_job(source, job, 1, silent)
    assert {**again, "seconds": 0} == {**outcome.rows[0], "seconds": 0, "trained": False}
    committed.edit_params("adapter", method="lora")
    committed.edit_params("", seed=3)
    run = committed.naslora("run", "--domain", "discs")
    assert run.returncode == 0, run.stdout + run.stderr
    assert set(committed.executed()) <= {"report"}


@pytest.mark.slow
def test_an_interrupted_sweep_ends_its_training_and_starts_no_other(committed):
    slow = committed.root / "slow"
    slow.touch()
    words = ["flows", "sweep", "--domain", "discs", "--method", "lora", "--seed", "1", "--seed", "2"]
    with subprocess.Popen([*NASLORA, *words], cwd=committed.root, stderr=subprocess.PIPE, text=True) as sweep:
        until(slow.read_text, 250)
        sweep.send_signal(signal.SIGINT)
        said = sweep.communicate(timeout=100)[1]
    assert sweep.returncode == 1, said
    assert "interrupted; the same sweep again finds what is done and computes the rest" in said
    assert "Traceback" not in said
    assert committed.executed().count("merge@discs") == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(slow.read_text()), 0)


def test_nothing_starts_any_more_once_everything_was_told_to_end(project, monkeypatch):
    monkeypatch.setattr(command, "_ending", threading.Event())
    project.touch_image("discs")
    command.end_all()
    with pytest.raises(PipelineError, match="interrupted"):
        command.repro(project.root, ["merge@discs"], silent)
    assert project.executed() == []
