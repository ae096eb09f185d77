"""Many trainings at once, each in a clone of its own, with results shared through the project's DVC cache."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from naslora_core.errors import PipelineError
from pipelines.flow.clone import source_of
from pipelines.flow.sweep_job import default_threads, jobs_of, prepare_domain, run_job

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
DVC = (sys.executable, "-m", "dvc")
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")


def sh(root: Path, *words: str) -> None:
    done = subprocess.run(words, cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def commit(root: Path, message: str = "start") -> None:
    sh(root, "git", "add", "--all")
    sh(root, *GIT, "commit", "--quiet", "-m", message)


@pytest.fixture
def committed(project):
    """The project in git; its stages say where they ran."""
    (project.root / ".gitignore").write_text(IGNORED)
    stage = (project.root / "stage.py").read_text()
    noted = stage.replace('open(".naslora/executed"', f'open("{project.root}/.naslora/executed"')
    (project.root / "stage.py").write_text(noted)
    sh(project.root, "git", "init", "--quiet")
    commit(project.root)
    return project


def silent(line: str) -> None:
    """Say nothing."""


def test_the_same_job_again_computes_nothing_and_the_project_takes_it_over(committed):
    job = jobs_of(["discs"], ["lora"], [3])[0]
    source = source_of(committed.root, ["discs"])
    first = run_job(source, job, 1, silent)
    assert first["trained"]
    assert committed.executed() == ["evaluate@discs", "merge@discs", "search_train@discs"]
    again = run_job(source, job, 1, silent)
    assert committed.executed() == []
    assert {**again, "seconds": 0} == {**first, "seconds": 0, "trained": False}
    committed.edit_params("adapter", method="lora")
    committed.edit_params("", seed=3)
    run = committed.naslora("run", "--domain", "discs")
    assert run.returncode == 0, run.stdout + run.stderr
    assert not [stage for stage in committed.executed() if stage.startswith(("search_train", "merge", "evaluate"))]
