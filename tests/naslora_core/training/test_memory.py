"""Memory that is kept by the process."""

import ctypes
import json
import platform
import subprocess
import sys

import pytest

from naslora_core.training.memory import keep_freed_memory

# glibc's own account of its memory: of page faults, the system and what lies above in the pool decide too.
_ACCOUNT = """
import ctypes, json
import torch
from naslora_core.training.memory import keep_freed_memory
fields = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
account = ctypes.CDLL(None).mallinfo2
account.restype = type("Account", (ctypes.Structure,), {{"_fields_": [(name, ctypes.c_size_t) for name in fields]}})
if {keep}:
    assert keep_freed_memory()
first = torch.ones(2**21)
before = account()
kept = [first + number for number in range(8)]
held = account()
del kept
print(json.dumps([held.hblks - before.hblks, held.uordblks - before.uordblks, account().arena - held.arena]))
"""
_EIGHT_TENSORS = 8 * 4 * 2**21


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc tells about its memory from 2.33 on")
def test_a_process_that_keeps_its_memory_takes_large_tensors_from_its_pool_and_gives_nothing_back():
    def account(keep: bool) -> list[int]:
        code = _ACCOUNT.format(keep=keep)
        return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

    mapped, pooled, given_back = account(keep=True)
    assert (mapped, given_back) == (0, 0)
    assert pooled >= _EIGHT_TENSORS
    mapped, pooled, _ = account(keep=False)
    assert mapped == 8
    assert pooled < _EIGHT_TENSORS


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
