"""Warm start: train on from an earlier adapter instead of a fresh one."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from naslora_core.config import SearchConfig, TrainConfig
from naslora_core.errors import CheckpointError
from naslora_core.files import file_sha256
from naslora_core.reading import read_model

START_FILE, FORMAT = "start.json", 1


@dataclass(frozen=True)
class WarmStart:
    """An earlier adapter to start from.

    Args:
        folder: holds the files that `save_adapted` wrote.
        version: number of that model in the registry.
        epochs: length of the training that follows.
    """

    folder: Path
    version: int
    epochs: int

    @property
    def fingerprint(self) -> str:
        """Identifies this warm start in the fingerprint of a run."""
        return f"{self.epochs} epochs from {file_sha256(self.folder / 'adapter.safetensors')}"

    def shorten(self, train: TrainConfig, search: SearchConfig) -> tuple[TrainConfig, SearchConfig]:
        """Return the settings of a warm-started training: fewer epochs, and no warm-up before the search."""
        return train.model_copy(update={"epochs": self.epochs}), search.model_copy(update={"warmup_epochs": 0})


class _StartNotes(BaseModel):
    version: int
    epochs: int


def find_warm_start(folder: Path) -> WarmStart | None:
    """Return the warm start that was prepared in a folder, or None if there is none.

    Raises:
        CheckpointError: if start.json cannot be read.
    """
    path = folder / START_FILE
    if not path.is_file():
        return None
    remedy = f"delete {folder} to train from the start"
    notes = read_model(path, _StartNotes, FORMAT, remedy, CheckpointError, fault="is damaged")
    return WarmStart(folder, notes.version, notes.epochs)
