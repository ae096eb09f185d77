"""A short form of the fuzzing: some cases of every parser, and tests that every kind of fault is noticed."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from naslora_core.data.importers import IMPORTERS
from tests.fuzz import harness
from tests.fuzz.harness import Fuzzer, Target, load_targets

TARGETS = load_targets()
# With the sound ones; what takes longer gets fewer.
CASES = 60


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_answered_or_refused(name: str, tmp_path: Path) -> None:
    fuzzer = Fuzzer(TARGETS[name], tmp_path / "watched")
    for seed in (*fuzzer.sound, *range(max(2, round(CASES * TARGETS[name].weight)))):
        result = fuzzer.run(seed)
        assert result.kind == "returned" or (seed >= 0 and result.kind == "refused"), (
            f"{result.detail or result.kind}; python -m tests.fuzz --replay '{name}:{seed}'"
        )


def test_every_layout_is_a_target() -> None:
    assert {f"import {layout}" for layout in IMPORTERS} <= TARGETS.keys()


def test_a_case_depends_on_its_number_alone(tmp_path: Path) -> None:
    for name, target in TARGETS.items():
        first, second = (Fuzzer(target, tmp_path).files(7) for _ in range(2))
        assert first == second, name


def crash(folder: Path) -> None:
    raise KeyError("a")


def last_for_ever(folder: Path) -> None:
    while True:
        pass


def write_outside(folder: Path) -> None:
    (folder.parent.parent / "outside").write_text("x")


def rename_outside(folder: Path) -> None:
    (folder / "a").rename(folder.parent.parent / "outside")


def start(folder: Path) -> None:
    subprocess.run(["true"], check=True)


def connect(folder: Path) -> None:
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", 9))


def swallow(folder: Path) -> None:
    try:
        os.system("true")
    except Exception:
        return


def complain(folder: Path) -> None:
    raise OSError("without a number")


@pytest.mark.parametrize(
    "bad", [crash, last_for_ever, write_outside, rename_outside, start, connect, swallow, complain]
)
def test_the_watch_sees(bad: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "TIME_LIMIT_S", 0.2)
    fuzzer = Fuzzer(Target("bad", lambda: [{"a": b"x"}], bad), tmp_path / "watched")
    assert fuzzer.run(-1).kind == "fault"
    assert not (tmp_path / "outside").exists()
    fine = Fuzzer(
        Target("fine", lambda: [{"a": b"x"}], lambda folder: (folder / "b").write_bytes(b"x")), tmp_path / "w"
    )
    assert fine.run(-1).kind == "returned"
