"""Work in other processes gives what it gives in this one, and says so if it cannot."""

import math
import os
from pathlib import Path

import pytest

from naslora_core import parallel
from naslora_core.errors import DataError
from naslora_core.parallel import parallel_map, worker_count


def test_results_come_in_the_order_of_the_items_whoever_works() -> None:
    for workers in (1, 2):
        with parallel_map(math.factorial, workers, "counts") as count:
            assert list(count(range(20))) == [math.factorial(number) for number in range(20)]


def test_an_error_of_a_worker_is_that_of_the_work() -> None:
    with pytest.raises(ValueError, match="math domain|nonnegative"), parallel_map(math.sqrt, 2, "counts") as root:
        list(root([4, -1]))


def test_a_process_that_the_system_ends_is_told() -> None:
    with pytest.raises(DataError, match="a process that counts was ended by the system"):  # noqa: SIM117
        with parallel_map(os._exit, 2, "counts") as leave:
            list(leave([3, 3]))


def test_few_files_are_not_worth_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = tmp_path / "absent.png"
    monkeypatch.setattr(parallel, "_processors", lambda: 4)
    assert [worker_count([absent] * count, 32) for count in (0, 1, 63, 64, 10_000)] == [1, 1, 1, 4, 4]
    monkeypatch.setattr(parallel, "_processors", lambda: 64)
    assert worker_count([absent] * 64, 32) == 8


def test_few_large_files_are_worth_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_processors", lambda: 4)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(bytes(4_000_000))
    assert [worker_count([photo] * count, 1000) for count in (1, 2, 3, 1000)] == [1, 1, 4, 4]
