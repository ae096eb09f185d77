"""A merged model on disk: SAM's weights, for `fold` with a few more tensors a layer, and how to build it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from naslora_core.errors import CheckpointError
from naslora_core.files import write_json
from naslora_core.merge.folded_linear import FoldedLinear, folded_layers
from naslora_core.merge.method import Merged, put_layer
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.checkpoint import load_strictly, read_weights, save_weights
from naslora_core.sam.classes import class_count, set_class_count

FORMAT = 2
WEIGHTS_FILE, CONFIG_FILE, LORA_FILE = "model.safetensors", "model.json", "lora.safetensors"


def save_merged(folder: Path, merged: Merged, name: str, mode: str, origin: Mapping[str, Any]) -> None:
    """Write a merged model into an existing folder, and beside it the LoRA that it is.

    lora.safetensors holds <layer>.lora_A (rank, in_features) and <layer>.lora_B (out_features, rank) with the
    scaling in it: their product is what the layer's weight has more than the base. It is empty where the
    merged model is no LoRA.

    Args:
        name: the model's name, a key of `MODEL_SPECS`.
        mode: how it was merged.
        origin: what it was made from; goes into model.json as it is.
    """
    sam = merged.sam
    about = {"model": name, "mode": mode}
    config = about | {"classes": class_count(sam), "image_size": int(sam.image_encoder.img_size)}
    save_weights(folder / WEIGHTS_FILE, sam.state_dict(), {"format": f"naslora-merged-{FORMAT}", **about})
    save_weights(folder / LORA_FILE, _lora(merged), {"format": f"naslora-lora-{FORMAT}", **about})
    write_json(folder / CONFIG_FILE, {"format": FORMAT, **config, "origin": dict(origin)})


def read_config(folder: Path) -> dict[str, Any]:
    """Return model.json of a merged model.

    Raises:
        CheckpointError: if it cannot be read or is of another version.
    """
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} cannot be read ({error}); run stage merge") from error
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / CONFIG_FILE} has format {config.get('format')}, this version reads {FORMAT}; merge again"
        )
    return config


def load_merged(folder: Path) -> Sam:
    """Load a merged model; it needs neither the base model nor the adapter.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
    """
    config = read_config(folder)
    weights = read_weights(folder / WEIGHTS_FILE)
    sam = build_sam(config["model"], config["image_size"])
    set_class_count(sam, config["classes"])
    _prepare_folded_layers(sam, weights)
    load_strictly(sam, weights, folder / WEIGHTS_FILE)
    return sam.requires_grad_(False).eval()


def _lora(merged: Merged) -> dict[str, Tensor]:
    return {
        f"{layer}.{name}": value.float()
        for layer, update in merged.factors.items()
        for name, value in (("lora_A", update.down), ("lora_B", update.up))
    }


def _prepare_folded_layers(sam: Sam, weights: Mapping[str, Tensor]) -> None:
    for name, kernels in folded_layers(weights).items():
        plain = sam.get_submodule(name)
        rank = len(weights[f"{name}.fold_A"])
        folded = FoldedLinear(plain.in_features, plain.out_features, rank, kernels, plain.bias is not None)
        put_layer(sam, name, folded)
