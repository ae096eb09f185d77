"""A real pipeline in a real DVC repository, broken and repaired; `python -m tests.chaos.faults` does it at length."""

import random
import shutil

import pytest

from tests.chaos import faults


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> faults.Pipeline:
    return faults.Pipeline(tmp_path_factory.mktemp("pipeline"), random.Random(3), last="search_train")


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", [faults.spoil_checkpoint])
def test_one_repro_after_a_fault_all_is_as_it_was(pipeline, fault):
    told = fault(pipeline)
    assert faults.check(pipeline) == "", told
