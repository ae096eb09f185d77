"""Checkpoints from which an interrupted run resumes, with the same result as an uninterrupted one."""

import hashlib
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from naslora_core.files import atomic_file

# Changed whenever the content of a state changes, so that states of earlier versions match no run.
_FORMAT = "naslora-state-5"


def fingerprint(*parts: str) -> str:
    """Return a hash that identifies a run by its settings and inputs, and by the format of its state."""
    return hashlib.sha256("\n".join((_FORMAT, *parts)).encode()).hexdigest()[:16]


class Checkpoints:
    """Keeps the last two states of a run, so that one is intact if writing the other fails.

    A state holds nothing but tensors, numbers and strings; torch's random states are added to it.

    Args:
        path: of the last one; the one before is kept next to it.
        interval_s: how long a run may go on without a new one.
        writes: whether this process writes; of several that train together, one does.
    """

    def __init__(self, path: Path, interval_s: float, writes: bool = True) -> None:
        self.path, self._interval_s, self._writes = path, interval_s, writes
        self._previous = path.with_name(f"{path.name}.previous")
        self._saved_at = time.monotonic()

    def are_due(self) -> bool:
        """Say whether the last state is older than the interval."""
        return time.monotonic() - self._saved_at >= self._interval_s

    def save(self, state: dict[str, Any]) -> None:
        """Write a state; the last one becomes the previous one. A kill in between leaves at least one of them."""
        self._saved_at = time.monotonic()
        if not self._writes:
            return
        complete = {**state, "torch_rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state_all()}
        with atomic_file(self.path) as temporary:
            # Into an open file: given a path, torch does not say why it cannot write there.
            with temporary.open("wb") as file:
                torch.save(complete, file)
            if self.path.exists():
                self.path.replace(self._previous)

    def load(self, say: Callable[[str], None]) -> dict[str, Any] | None:
        """Read the last intact state and restore torch's random states.

        Args:
            say: gets a line with the damaged state and what is used instead.

        Returns:
            None if there is none, and the run has to start from the beginning.
        """
        for path in (self.path, self._previous):
            if not path.exists():
                continue
            if state := _read(path):
                torch.set_rng_state(state["torch_rng"])
                torch.cuda.set_rng_state_all(state["cuda_rng"][: torch.cuda.device_count()])
                return state
            instead = "the one before it is used" if path == self.path else "training starts anew"
            say(f"checkpoint {path} is damaged; {instead}")
        return None

    def remove(self) -> None:
        """Delete the states of a finished run, and unfinished files that killed writers have left."""
        for path in self.path.parent.glob(f"*{self.path.name}*"):
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """Return a state, or None if its file is damaged."""
    try:
        # torch.save writes checksums of all parts, but torch.load does not look at them.
        with zipfile.ZipFile(path) as parts:
            if parts.testzip() is not None:
                return None
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged pickle can raise almost anything.
    except Exception:
        return None
    return state
