"""A merged model that is an ordinary SAM, which is what other projects can load."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from naslora_core.errors import MergeError
from naslora_core.merge.merged import CONFIG_FILE, load_merged
from naslora_core.sam.build import build_sam


@dataclass(frozen=True)
class PlainSam:
    """A SAM with upstream's keys and shapes.

    Attributes:
        name: as in `sam_model_registry`, or sam_tiny.
        weights: its state dict.
        base_sha256: of the checkpoint it was adapted from.
    """

    name: str
    weights: dict[str, Tensor]
    base_sha256: str


def read_plain_sam(folder: Path) -> PlainSam:
    """Read what stage merge wrote to `folder`.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
        MergeError: if the model is not an ordinary SAM: folded, of several classes, or of another image size.
    """
    weights = load_merged(folder).state_dict()
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    name = config["model"]
    with torch.device("meta"):
        plain = build_sam(name)
    if config["classes"] > 1:
        raise MergeError(
            f"{folder} tells {config['classes']} classes apart, and SAM has one mask a prompt; "
            "use naslora predict, or export the adapter"
        )
    if config["image_size"] != plain.image_encoder.img_size:
        raise MergeError(
            f"{folder} sees {config['image_size']} px, and {name} is loaded elsewhere with "
            f"{plain.image_encoder.img_size} px; train with model.image_size native"
        )
    if folded := sorted({key.rpartition(".")[0] for key in weights.keys() - plain.state_dict().keys()}):
        raise MergeError(
            f"{folder} was merged with merge.mode {config['mode']}, which keeps a convolution beside {len(folded)} "
            f"layers ({folded[0]}) that SAM does not have; merge with merge.mode calibrated, or train with "
            "search.pointwise_pressure above 0 and merge with exact"
        )
    return PlainSam(name, dict(weights), config["origin"]["base"]["sha256"])
