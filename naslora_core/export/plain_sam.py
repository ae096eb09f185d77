"""Read a merged model as an ordinary SAM, which other projects can load."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from naslora_core.data.dataset.image_files.reading import parse_reading
from naslora_core.errors import MergeError
from naslora_core.merge.merged import load_merged, read_merged_notes
from naslora_core.merge.training_images import stored_reading
from naslora_core.sam.build import build_sam


@dataclass(frozen=True)
class PlainSam:
    """A SAM with upstream's keys and shapes.

    Attributes:
        name: as in `sam_model_registry`, or sam_tiny.
        weights: its state dict.
        base_sha256: of the checkpoint it was adapted from.
        reading: how the training images became RGB, a sentence for its user; "" for plain images of 8 bits.
    """

    name: str
    weights: dict[str, Tensor]
    base_sha256: str
    reading: str = ""


def read_plain_sam(folder: Path) -> PlainSam:
    """Read what stage merge wrote to `folder`.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
        MergeError: if the model is not an ordinary SAM: folded, of several classes, or of another image size.
    """
    weights = load_merged(folder).state_dict()
    notes = read_merged_notes(folder)
    name = notes.model
    with torch.device("meta"):
        plain = build_sam(name)
    if notes.classes > 1:
        raise MergeError(
            f"{folder} tells {notes.classes} classes apart, and SAM has one mask a prompt; "
            "use naslora predict, or export the adapter"
        )
    if notes.image_size != plain.image_encoder.img_size:
        raise MergeError(
            f"{folder} sees {notes.image_size} px, and {name} is loaded elsewhere with "
            f"{plain.image_encoder.img_size} px; train with model.image_size native"
        )
    if folded := sorted({key.rpartition(".")[0] for key in weights.keys() - plain.state_dict().keys()}):
        raise MergeError(
            f"{folder} was merged with merge.mode {notes.mode}, which keeps a convolution beside {len(folded)} "
            f"layers ({folded[0]}) that SAM does not have; merge with merge.mode calibrated, or train with "
            "search.pointwise_pressure above 0 and merge with exact"
        )
    reading = parse_reading(stored_reading(folder), folder)
    said = f"Images were converted to 8 bits by: {reading}" if reading else ""
    return PlainSam(name, dict(weights), notes.origin["base"]["sha256"], said)
