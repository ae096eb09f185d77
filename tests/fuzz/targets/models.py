"""Files of models: adapters, merged models, checkpoints."""

import io
from pathlib import Path

import torch

from naslora_core.adapted.saved import ADAPTER_FILE, read_adapter_config, require_base, trains_base
from naslora_core.adapted.warm_start import find_warm_start
from naslora_core.errors import CheckpointError
from naslora_core.merge.merged import load_merged, read_merged_notes
from naslora_core.pretraining.config import PretrainConfig
from naslora_core.pretraining.state import PretrainState
from naslora_core.sam.checkpoint import checkpoint_sha256
from naslora_core.sam.layouts.recognise import recognise
from naslora_core.sam.weights import describe_mismatch, read_metadata, read_weights
from tests.fuzz.harness import target
from tests.fuzz.seeds import as_json, project_settings, tensors

BASE = {"name": "sam_tiny", "sha256": "0" * 64, "image_size": 256}
LAYER = "image_encoder.blocks.0.attn.qkv"
SETTINGS = project_settings()
NOTES = {
    "format": 2, "method": "nas_lora", "adapter": SETTINGS["adapter"], "search": SETTINGS["search"], "base": BASE,
    "classes": 1, "layers": [LAYER], "seed": 7, "dataset_sha256": "0" * 64, "gate": "passed",
}  # fmt: skip
MODEL = {"format": 2, "model": "sam_tiny", "mode": "fold", "classes": 1, "image_size": 256, "origin": {"base": BASE}}
KEY = LAYER.replace(".", "__")
FOLDED = {f"{KEY}__fold_A": (2, 192), f"{KEY}__fold_B": (2, 576), f"{KEY}__fold_kernel_0_1": (3, 3, 2, 2)}


@target(
    "adapter",
    lambda: [
        {"adapter.json": as_json(NOTES), ADAPTER_FILE: tensors(**{f"{KEY}__lora_A": (2, 4), f"{KEY}__lora_B": (4, 2)})}
    ],
)
def adapter(folder: Path) -> None:
    config = read_adapter_config(folder)
    require_base(folder, config, BASE)
    trains_base(folder, config)
    read_metadata(folder / ADAPTER_FILE)
    describe_mismatch({f"{LAYER}.lora_A": torch.zeros(2, 4)}, read_weights(folder / ADAPTER_FILE))


@target("merged", lambda: [{"model.json": as_json(MODEL)}])
def merged(folder: Path) -> None:
    read_merged_notes(folder)


@target("folded", lambda: [{"model.json": as_json(MODEL), "model.safetensors": tensors(**FOLDED)}], weight=0.01)
def folded(folder: Path) -> None:
    try:
        load_merged(folder)
    except CheckpointError as error:
        # The seed holds the folded layer alone, which is as far as a case of a few kB can go.
        if "keys missing" not in str(error):
            raise


def _checkpoint() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(2, 3), "b": torch.zeros(4)}, buffer)
    return buffer.getvalue()


@target("checkpoint", lambda: [{"a.pth": _checkpoint()}, {"a.safetensors": tensors(a=(2, 3), b=(4,))}])
def checkpoint(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        describe_mismatch({"a": torch.ones(2, 3)}, read_weights(file))


_BLOCK = "blocks__0__attn"
_ENCODER = {
    f"{_BLOCK}__qkv__weight": (6, 2), f"{_BLOCK}__rel_pos_h": (3, 2), "pos_embed": (1, 2, 2, 2),
    "neck__0__weight": (2, 2, 1, 1), "patch_embed__proj__weight": (2, 3, 4, 4),
}  # fmt: skip


def _wrapped() -> bytes:
    buffer = io.BytesIO()
    weights = {f"model.{key.replace('__', '.')}": torch.ones(shape) for key, shape in _ENCODER.items()}
    torch.save({"state_dict": weights, "epoch": 3}, buffer)
    return buffer.getvalue()


def _folder() -> dict[str, bytes]:
    index = as_json({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    return {
        "a/model.safetensors.index.json": index,
        "a/model-1.safetensors": tensors(**_ENCODER),
        "a/model-2.safetensors": tensors(neck__1__weight=(2,)),
    }


@target("layouts", lambda: [{"a.ckpt": _wrapped()}, {"a.safetensors": tensors(**_ENCODER)}, _folder()])
def layouts(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        recognise(path).as_rows()
        checkpoint_sha256(path)


@target("start", lambda: [{"start.json": as_json({"format": 1, "version": 3, "epochs": 6})}], weight=0.2)
def start(folder: Path) -> None:
    find_warm_start(folder)


def _state() -> bytes:
    buffer = io.BytesIO()
    torch.save({"format": 1, "config": PretrainConfig(steps=1).model_dump_json(), "step": 1}, buffer)
    return buffer.getvalue()


@target("pretrain state", lambda: [{"sam.resume": _state()}], weight=0.3)
def pretrain_state(folder: Path) -> None:
    # Other settings than those of the seed: what is compared is read, and no model is filled.
    state = PretrainState.__new__(PretrainState)
    state._config = PretrainConfig(steps=1, seed=2)
    try:
        state.resume(folder / "sam.resume")
    except CheckpointError as error:
        if "other settings" not in str(error):
            raise
