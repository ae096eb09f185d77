"""The base model: find its checkpoint, recognise it, and load it strictly."""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from naslora_core.config import ModelConfig
from naslora_core.errors import CheckpointError, few
from naslora_core.files import file_sha256
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import WithoutRandomWeights, build_sam
from naslora_core.sam.families.model import Sam
from naslora_core.sam.layouts.folder import weight_files
from naslora_core.sam.layouts.recognise import FRESH_SEED, Recognised, recognise
from naslora_core.sam.layouts.sam_size import stored_image_size
from naslora_core.sam.mapped import take_weights
from naslora_core.sam.resize import resize_positions
from naslora_core.sam.specs import MODEL_SPECS, ModelSpec, find_spec
from naslora_core.sam.weights import describe_mismatch

_ENCODER = "image_encoder."


def load_base(model: ModelConfig, progress: Progress = silent, mapped: bool = False) -> Sam:
    """Build the configured SAM and load its pre-trained weights, resized to the configured image size.

    The checkpoint may have any layout of `naslora_core.sam.layouts`; parts that it does not hold start from
    `FRESH_SEED`, the same in every call.

    Args:
        model: which SAM, and where its weights are.
        progress: told in a line what was recognised.
        mapped: leave the encoder's weights in the file, which must not be written over then, see `take_weights`.

    Returns:
        The model in evaluation mode, float32, on the CPU.

    Raises:
        CheckpointError: if the file is missing, damaged, renamed, of an unknown layout or made for another model.
        ConfigError: if the image size does not divide into patches.
    """
    native, spec = MODEL_SPECS[model.name], find_spec(model.name, model.image_size)
    found = read_base(model)
    progress(1, 1, f"{model.checkpoint}: {found.in_a_line()}")
    if found.fresh:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(FRESH_SEED)
            sam = build_sam(model.name, spec.image_size)
    else:
        with WithoutRandomWeights():
            sam = build_sam(model.name, spec.image_size)
    sam.image_encoder.gradient_checkpointing = model.gradient_checkpointing
    fresh = {key: value for key, value in sam.state_dict().items() if key.partition(".")[0] in found.fresh}
    weights = resize_positions(found.weights, native, spec) | fresh
    if wrong := describe_mismatch(sam.state_dict(), weights):
        raise CheckpointError(
            f"{model.checkpoint} does not fit {model.name} at {spec.image_size} px: {wrong}. "
            f"It was recognised as {found.layout}, {found.seen}."
            f"{_other_image_size(found, native, spec)}{_own_additions(weights)}"
        )
    if wrong := _describe_values(sam.state_dict(), weights):
        raise CheckpointError(f"{model.checkpoint} cannot be used: {wrong}")
    if mapped:
        encoder = {key.removeprefix(_ENCODER): value for key, value in weights.items() if key.startswith(_ENCODER)}
        take_weights(sam.image_encoder, encoder)
        weights = {key: value for key, value in weights.items() if not key.startswith(_ENCODER)}
    sam.load_state_dict(weights, strict=not mapped)
    return sam


def read_base(model: ModelConfig) -> Recognised:
    """Read and recognise the configured checkpoint.

    Raises:
        CheckpointError: if it is missing, damaged, renamed, of an unknown layout or made for another model.
    """
    require_checkpoint(model)
    _check_official_hash(model.checkpoint, MODEL_SPECS[model.name].files)
    found = recognise(model.checkpoint)
    if found.size != model.name:
        remedy = "no model of that size is known here"
        if found.size:
            remedy = f"use it with --set model.name={found.size}, or give a checkpoint of {model.name}"
        raise CheckpointError(
            f"{model.checkpoint} holds {found.size or 'a model'} of family {found.family} ({found.seen}), and "
            f"model.name is {model.name}; {remedy}"
        )
    return found


def require_checkpoint(model: ModelConfig) -> None:
    """Check that the configured checkpoint is there: a file, or a folder with weights.

    Raises:
        CheckpointError: if not; the message says which file the model expects.
    """
    if model.checkpoint.is_dir():
        weight_files(model.checkpoint)
        return
    if model.checkpoint.is_file():
        return
    raise CheckpointError(f"model.checkpoint {model.checkpoint} not found; {_expected(model.name)}")


def _expected(name: str) -> str:
    spec = MODEL_SPECS[name]
    if not spec.files:
        return (
            f"nobody has trained {name}, a miniature for tests and trials; give weights of your own, or set model.name "
            "to a model that has some: docs/models.md"
        )
    if not spec.source:
        return f"{name} expects {spec.files}, which comes with this project: run 'dvc pull {spec.files}.dvc'"
    return f"{name} expects {spec.files} from {spec.source}; docs/models.md lists what else can be loaded"


def checkpoint_sha256(path: Path) -> str:
    """Return the SHA-256 of a checkpoint; a process reads a file for it once, and again after it has changed.

    Of a folder it is that of its weight file, or of the SHA-256 of its shards, one a line in the order of their names.

    Raises:
        CheckpointError: if a folder holds no weights.
    """
    digests = [_sha256_of(file.resolve(), *_state_of(file)) for file in weight_files(path)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _state_of(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


# Size and times are arguments only to be part of the cache's key. A run has one base, a report a few.
@lru_cache(maxsize=16)
def _sha256_of(path: Path, *_: int) -> str:
    return file_sha256(path)


def _describe_values(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """Describe what makes values unusable where keys and shapes are right; "" if nothing does."""
    floating = {key: value for key, value in weights.items() if expected[key].is_floating_point()}
    # torch would take whole and complex numbers as if they were the values meant.
    if other := [key for key, value in floating.items() if not value.is_floating_point()]:
        kind = str(floating[other[0]].dtype).removeprefix("torch.")
        return f"{len(other)} of its tensors hold {kind} ({few(other, 3)}); give the model before it was quantised"
    # Of the least and the largest value, which are not finite if any is not, nothing as large as the tensor is made.
    broken = [key for key, value in floating.items() if value.numel() and not _extremes(value).isfinite().all()]
    if broken:
        return (
            f"{len(broken)} of its tensors hold values that are not finite ({few(sorted(broken), 3)}), as after a "
            "training that diverged; give an earlier checkpoint of it"
        )
    return ""


def _extremes(value: Tensor) -> Tensor:
    return torch.stack(torch.aminmax(value))


def _other_image_size(found: Recognised, native: ModelSpec, spec: ModelSpec) -> str:
    stored = stored_image_size(found.weights)
    if stored in (0, native.image_size, spec.image_size):
        return ""
    return f" It was saved for images of {stored} px: use it with --set model.image_size={stored}."


def _own_additions(weights: Mapping[str, Tensor]) -> str:
    if any(key.startswith("mask_decoder.detail.") or ".fold_" in key for key in weights):
        return (
            " It is a model that naslora merged, with a detail path or folded layers that no base has: give the base "
            "that it was trained on, or what naslora export sam or hf writes of it, without the detail path."
        )
    return ""


def _check_official_hash(path: Path, files: str) -> None:
    # Some authors' files carry the first six digits of their SHA-256 in their names: sam_vit_b_01ec64.pth.
    beginning, starred, _ = files.partition("*")
    named = re.fullmatch(rf"{re.escape(beginning)}([0-9a-f]{{6}})", path.stem)
    if not starred or not named or path.is_dir():
        return
    found = checkpoint_sha256(path)
    if not found.startswith(named[1]):
        raise CheckpointError(
            f"{path} is damaged: its SHA-256 begins with {found[:6]}, its name says {named[1]}; fetch it again"
        )
