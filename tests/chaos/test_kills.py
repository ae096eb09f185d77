"""Trainings that are killed, or asked to end, at random moments; `python -m tests.chaos.kills` does it at length."""

import os
import subprocess

import pytest

from tests.chaos.project import REPOSITORY
from tests.fixtures.preloaded import fast_python


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_training_that_was_ended_at_a_random_moment_ends_with_the_same_weights():
    # Of squares tests/naslora_core/training/test_resume.py looks at the same, and what loads them does less.
    command = [fast_python(), "-m", "tests.chaos.kills", "--times", "2", "--signals", "TERM", "KILL", "--crops"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 identical" in done.stdout
