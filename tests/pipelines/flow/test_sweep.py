"""Many trainings at once, each in a clone of its own, with results shared through a DVC remote."""

import subprocess
import sys

import pytest

from naslora_core.errors import PipelineError

IGNORED = """
/artifacts/
/data/
/.naslora/
/serving/
/registry/
/first_run.txt
/dvcstore/
/.dvc/*
!/.dvc/config
"""


def sh(root, *words: str) -> None:
    subprocess.run(words, cwd=root, check=True, capture_output=True)


@pytest.fixture
def committed(project):
    """The project in git, with its data on a remote of its own."""
    dvc = (sys.executable, "-m", "dvc")
    (project.root / ".gitignore").write_text(IGNORED)
    sh(project.root, *dvc, "remote", "add", "--default", "store", str(project.root / "dvcstore"))
    sh(project.root, *dvc, "push", "--quiet", "data.dvc")
    sh(project.root, "git", "init", "--quiet")
    sh(project.root, "git", "add", "--all")
    sh(project.root, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "start")
    return project


@pytest.mark.parametrize("runner", [pytest.param("threads", marks=pytest.mark.slow), "dask"])
def test_workers_share_what_they_computed(committed, runner):
    if runner == "dask":
        pytest.importorskip("prefect_dask")
    from prefect.testing.utilities import prefect_test_harness

    from pipelines.flow.clone import source_of
    from pipelines.flow.sweep import jobs_of, run_job, run_sweep

    remote = str(committed.root / ".naslora" / "results")
    jobs = jobs_of(["discs", "squares"], ["lora"], [1])
    with prefect_test_harness(server_startup_timeout=150):
        rows = run_sweep(committed.root, jobs, remote, runner, 2)
    assert [(row["domain"], row["method"], row["seed"]) for row in rows] == [
        ("discs", "lora", 1),
        ("squares", "lora", 1),
    ]
    said: list[str] = []
    again = run_job(source_of(committed.root, remote), jobs[0], said.append)
    assert "search_train · discs: outputs taken from the cache" in said
    assert {**again, "seconds": 0} == {**rows[0], "seconds": 0}


def test_clones_hold_what_is_committed_so_changes_are_refused(committed):
    from pipelines.flow.clone import source_of

    committed.edit_params("merge", max_metric_drop=0.5)
    with pytest.raises(PipelineError, match=r"params\.yaml changed since the last commit"):
        source_of(committed.root, "results")
