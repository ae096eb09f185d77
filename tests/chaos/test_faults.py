"""A real pipeline in a real DVC repository, broken and brought back; `tests.chaos.faults` does it at length."""

import os
import random
import shutil

import pytest

from tests.chaos import breakage, endings
from tests.chaos.pipeline import Pipeline

pytestmark = [pytest.mark.skipif(not shutil.which("git"), reason="needs git"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    return Pipeline(tmp_path_factory.mktemp("pipeline"), random.Random(3), last="preprocess")


@pytest.mark.parametrize("fault", [endings.kill, breakage.delete_output, breakage.leave_lock])
def test_one_run_after_a_fault_all_is_as_it_was(pipeline, fault):
    told = fault(pipeline)
    assert pipeline.differences() == "", told


def test_what_differs_and_what_is_left_is_seen(pipeline):
    file = pipeline.root / "artifacts" / "validate" / "leaf_lesions" / "verdict.json"
    before, times = file.read_bytes(), file.stat()
    # DVC takes a file of the same size and time for the same.
    file.write_bytes(before.replace(b"true", b"fals"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    left = file.with_name(".verdict.json.tmp-abc")
    left.touch()
    found = pipeline.differences()
    file.write_bytes(before)
    left.unlink()
    assert "validate/leaf_lesions/verdict.json differs" in found
    assert ".verdict.json.tmp-abc is left" in found
