"""A merged model on disk: SAM's weights, with three more tensors for every folded layer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from naslora_core.errors import CheckpointError
from naslora_core.files import write_json
from naslora_core.merge.fold import FoldedLinear
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.checkpoint import load_strictly, read_weights, save_weights

FORMAT = 1
WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "model.json"
_KERNEL = ".fold_kernel"


def save_merged(folder: Path, sam: Sam, name: str, mode: str, origin: Mapping[str, Any]) -> None:
    """Write a merged model into an existing folder.

    Args:
        name: the model's name, a key of `MODEL_SPECS`.
        mode: how it was merged.
        origin: what it was made from; goes into model.json as it is.
    """
    save_weights(folder / WEIGHTS_FILE, sam.state_dict(), {"format": "naslora-merged-1", "model": name, "mode": mode})
    write_json(folder / CONFIG_FILE, {"format": FORMAT, "model": name, "mode": mode, "origin": dict(origin)})


def load_merged(folder: Path) -> Sam:
    """Load a merged model; it needs neither the base model nor the adapter.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
    """
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} cannot be read ({error}); run stage merge") from error
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / CONFIG_FILE} has format {config.get('format')}, this version reads {FORMAT}; merge again"
        )
    weights = read_weights(folder / WEIGHTS_FILE)
    sam = build_sam(config["model"])
    _prepare_folded_layers(sam, weights)
    load_strictly(sam, weights, folder / WEIGHTS_FILE)
    return sam.requires_grad_(False).eval()


def _prepare_folded_layers(sam: Sam, weights: Mapping[str, Tensor]) -> None:
    for key in weights:
        if not key.endswith(_KERNEL):
            continue
        parent, _, attribute = key.removesuffix(_KERNEL).rpartition(".")
        holder = sam.get_submodule(parent)
        plain = getattr(holder, attribute)
        rank, size = weights[key].shape[0], weights[key].shape[-1]
        folded = FoldedLinear(plain.in_features, plain.out_features, rank, size, plain.bias is not None)
        setattr(holder, attribute, folded)
