"""Read and write tensors by name: without unpickling anything else, strictly, atomically."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from naslora_core.errors import CheckpointError
from naslora_core.files import atomic_file
from naslora_core.sam.layouts.reading import read_checkpoint


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors, or from a .pth file holding nothing but tensors.

    Raises:
        CheckpointError: if the file cannot be read.
    """
    content = read_checkpoint(path)
    if isinstance(content, Mapping):
        strange = [key for key, value in content.items() if not isinstance(key, str) or not torch.is_tensor(value)]
        if not strange:
            return dict(content)
    found = strange[:3] if isinstance(content, Mapping) else f"a {type(content).__name__}"
    raise CheckpointError(
        f"{path} cannot be read (it holds something else than tensors by name: {found}); fetch it again"
    )


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file.

    Raises:
        CheckpointError: if the file cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); fetch it again") from error


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Load weights whose keys and shapes must match the module's exactly.

    Raises:
        CheckpointError: naming the first keys that are missing, unexpected or of another shape.
    """
    if wrong := describe_mismatch(module.state_dict(), weights):
        raise CheckpointError(
            f"{source} does not fit this model: {wrong}. Set model.name to the model these weights were made for."
        )
    module.load_state_dict(weights)


def describe_mismatch(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """Describe how two state dicts differ in keys and shapes, with the first three of each kind; "" if they do not."""
    missing, unexpected = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    reshaped = sorted(key for key in expected.keys() & weights.keys() if expected[key].shape != weights[key].shape)
    if not (missing or unexpected or reshaped):
        return ""
    return (
        f"{len(missing)} keys missing {missing[:3]}, {len(unexpected)} unexpected {unexpected[:3]}, "
        f"{len(reshaped)} of another shape {reshaped[:3]}"
    )


def save_weights(path: Path, weights: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata as one safetensors file, atomically and reproducible to the byte."""
    contiguous = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    with atomic_file(path) as temporary:
        save_file(contiguous, temporary, metadata=dict(metadata))
        _sort_metadata(temporary)


def _sort_metadata(path: Path) -> None:
    """Sort the metadata, which safetensors writes in a random order, so that DVC sees the same file."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header |= {"__metadata__": dict(sorted(header["__metadata__"].items()))}
        file.seek(8)
        file.write(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size))
