"""Stop and go on: everything a training run needs to continue as if nothing had happened."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from naslora_core.files import atomic_file


def fingerprint(*parts: str) -> str:
    """Return a name for a run that changes with any of its settings and inputs."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write `state` and torch's random state, atomically; it holds nothing but tensors, numbers and strings."""
    with atomic_file(path) as temporary:
        torch.save({**state, "torch_rng": torch.get_rng_state()}, temporary)


def load_state(path: Path) -> dict[str, Any] | None:
    """Read what `save_state` wrote and restore torch's random state.

    A file that cannot be read is as good as none: the run starts anew.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged pickle can raise almost anything.
    except Exception:
        return None
    torch.set_rng_state(state["torch_rng"])
    return state
