"""Clocks are set back, by hand or over the network; no duration may become negative by that."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

FILES = sorted(path for name in ("naslora_core", "stages", "pipelines") for path in (REPOSITORY / name).rglob("*.py"))


def subtracts_a_time_of_day(code: str) -> bool:
    """Say whether code reads the wall clock as a number, or takes the difference of two times of day."""
    tree = ast.parse(code)
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    differences = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.BinOp | ast.Compare)]
    return bool(called & {"time.time", "time.time_ns"}) or any("datetime.now" in text for text in differences)


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_durations_are_taken_from_a_clock_that_never_goes_back(file):
    assert not subtracts_a_time_of_day(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("code", ["a = time.time()", "late = datetime.now() - began > limit"])
def test_the_test_sees_a_time_of_day(code):
    assert subtracts_a_time_of_day(code)
