"""Memory that is kept by the process."""

import platform
import subprocess
import sys

import pytest

from naslora_core.training.memory import keep_freed_memory

# Once the pool is as large as a step needs, the system has no page to provide.
_COUNT = """
import resource
import torch
from naslora_core.training.memory import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
first = torch.ones(2**21)
def step():
    kept = [first + number for number in range(8)]
for _ in range(20):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_a_process_that_keeps_its_memory_asks_for_no_new_pages():
    def faults(keep: bool) -> int:
        code = _COUNT.format(keep=keep)
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)

    assert faults(keep=True) * 10 < faults(keep=False)


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
