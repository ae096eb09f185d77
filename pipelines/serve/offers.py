"""List the models that the server offers: those in service, the base, and those of trials and the pipeline."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from naslora_core.adapted.saved import CONFIG_FILE, read_adapter_config
from naslora_core.config import ModelConfig
from naslora_core.data.dataset.image_files.reading import ImageReading, parse_reading
from naslora_core.errors import CheckpointError
from naslora_core.merge.merged import DEFAULT_THRESHOLD, WEIGHTS_FILE, decide_threshold, read_merged_notes
from naslora_core.merge.training_images import stored_reading
from naslora_core.sam.head import MaskHead

Kind = Literal["base", "merged", "adapter"]


@dataclass(frozen=True)
class Offer:
    """A model that a request can name.

    Attributes:
        name: a domain for the model in service there, "base", else the folder within the project.
        title: for people.
        kind: how it is loaded.
        file: whose size and time identify its version.
    """

    name: str
    title: str
    kind: Kind
    file: Path

    @property
    def folder(self) -> Path:
        """The folder in which stage merge or search_train, or a promotion, wrote it."""
        return self.file.parent

    def reading(self) -> ImageReading | None:
        """Return how the model's training images were read; None for plain images of 8 bits, as of the base.

        Raises:
            CheckpointError: if the description of the model is missing, damaged or of another version.
        """
        if self.kind == "merged":
            return parse_reading(stored_reading(self.folder), self.folder)
        content = read_adapter_config(self.folder).image if self.kind == "adapter" else None
        return parse_reading(content, self.folder)

    def head(self) -> MaskHead | None:
        """Return the head of the model's mask decoder; None if its description cannot be read."""
        if self.kind == "base":
            return MaskHead()
        try:
            return (read_merged_notes if self.kind == "merged" else read_adapter_config)(self.folder).head
        # Asking for it says what is wrong.
        except (CheckpointError, OSError):
            return None

    def threshold(self, setting: float | Literal["auto"]) -> float:
        """Return the threshold that a setting means for this model; only merged ones have one of their own.

        Raises:
            CheckpointError: as `reading`.
        """
        if self.kind == "merged":
            return decide_threshold(setting, self.folder)
        return DEFAULT_THRESHOLD if setting == "auto" else setting

    def version(self) -> tuple[int, int]:
        """Return a version that changes when the model's file is replaced."""
        state = self.file.stat()
        return state.st_mtime_ns, state.st_size


def find_offers(root: Path, model: ModelConfig) -> dict[str, Offer]:
    """Return all models of a project by name, those in service first.

    Reads the folders on every call: a model that is promoted while the server runs is served from then on.

    Args:
        root: the project's folder.
        model: the base; its checkpoint may be missing, and is not offered then.
    """
    found = [
        Offer(file.parent.name, f"{file.parent.name}, in service", "merged", file)
        for file in sorted((root / "serving").glob(f"[!.]*/{WEIGHTS_FILE}"))
    ]
    if model.checkpoint.exists():
        found.append(Offer("base", f"{model.name}, not adapted", "base", model.checkpoint))
    found += _of_pattern(root, f"artifacts/search_train/[!.]*/{CONFIG_FILE}", "adapter", "before merging")
    found += _of_pattern(root, f"runs/*/merge/[!.]*/{WEIGHTS_FILE}", "merged", "run {run}")
    found += _of_pattern(root, f"runs/*/search_train/[!.]*/{CONFIG_FILE}", "adapter", "run {run}, before merging")
    offers: dict[str, Offer] = {}
    for offer in found:
        # A domain may be called "base".
        offers.setdefault(offer.name, offer)
    return offers


def _of_pattern(root: Path, pattern: str, kind: Kind, what: str) -> list[Offer]:
    offers = []
    for file in sorted(root.glob(pattern)):
        folder = file.parent.relative_to(root)
        title = f"{folder.name}, {what.format(run=folder.parts[1])}"
        offers.append(Offer(folder.as_posix(), title, kind, file))
    return offers
