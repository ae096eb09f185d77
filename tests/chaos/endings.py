"""Runs that are ended at a random moment."""

import os
import signal
import subprocess
from contextlib import suppress

import psutil

from tests.chaos.pipeline import START_S, Pipeline


def kill(pipeline: Pipeline) -> str:
    """End dvc and the stage it runs at once."""
    return _end(pipeline, signal.SIGKILL)


def terminate(pipeline: Pipeline) -> str:
    """Ask dvc and the stage it runs to end."""
    return _end(pipeline, signal.SIGTERM)


def interrupt(pipeline: Pipeline) -> str:
    """Press Ctrl-C, which goes to dvc and the stage it runs."""
    return _end(pipeline, signal.SIGINT)


def kill_stage(pipeline: Pipeline) -> str:
    """End the stage at once, and let dvc live."""
    return _end(pipeline, signal.SIGKILL, stage_alone=True)


def _end(pipeline: Pipeline, number: signal.Signals, stage_alone: bool = False) -> str:
    stage = pipeline.rng.choice(pipeline.stages)
    pipeline.forget(stage)
    delay = pipeline.rng.uniform(START_S / 2, START_S + pipeline.seconds[stage])
    process = pipeline.start()
    told = f"in time, {delay:.1f} s"
    try:
        printed = process.communicate(timeout=delay)[0]
        told = "too late"
    except subprocess.TimeoutExpired:
        if not stage_alone:
            os.killpg(process.pid, number)
        elif stages := _stages(process.pid):
            stages[0].send_signal(number)
        printed = process.communicate()[0]
    reached = [line for line in printed.splitlines() if line.startswith("Running stage")]
    return f"{number.name} {told}, in a run of {stage}; {reached[-1] if reached else 'before any stage'}"


def _stages(pid: int) -> list[psutil.Process]:
    """Return the processes of a stage that a dvc has started, the last one first."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            if "-m stages." in " ".join(child.cmdline()):
                found.insert(0, child)
    return found
