"""Read weight files and folders of weight files, without unpickling anything but tensors."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from naslora_core.errors import CheckpointError, few, shorten
from naslora_core.reading import read_object

# What transformers looks for in a folder, in its order.
_WHOLE, _SHARDED = ("model.safetensors", "pytorch_model.bin"), ".index.json"
# The one name that the weights-only unpickler's message gives; the rest of it advises to load unsafely.
_REFUSED = re.compile(r"GLOBAL ([\w.]+)")


def weight_files(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the weights of a checkpoint: the file itself, or those of a Hugging Face folder.

    Raises:
        CheckpointError: if a folder holds none, or its index names others than are there.
    """
    if not path.is_dir():
        return (path,)
    for name in _WHOLE:
        if (path / name).is_file():
            return (path / name,)
        if (path / f"{name}{_SHARDED}").is_file():
            return _shards(path / f"{name}{_SHARDED}")
    found = few(sorted(entry.name for entry in path.iterdir())) or "nothing"
    raise CheckpointError(
        f"{path} is a folder without {' or '.join(_WHOLE)}: it holds {found}; give the file that holds the weights, or "
        "the folder that save_pretrained wrote"
    )


def read_checkpoint(path: Path) -> object:
    """Return what the weight files of a checkpoint hold; tensors stay on the disk until they are used.

    Raises:
        CheckpointError: if a file is missing, damaged, or holds objects of other classes than tensors.
    """
    files = weight_files(path)
    if len(files) == 1:
        return _read_file(files[0])
    merged: dict[object, object] = {}
    for file in files:
        content = _read_file(file)
        if not isinstance(content, Mapping):
            raise CheckpointError(f"{file} holds a {type(content).__name__}, expected tensors by name; save it again")
        merged |= content
    return merged


def _shards(index: Path) -> tuple[Path, ...]:
    try:
        listed = read_object(index)["weight_map"]
        names = sorted({str(name) for name in listed.values()})
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("weight_map has to name files of this folder")
    except (ValueError, KeyError, AttributeError, OSError) as error:
        raise CheckpointError(f"{index} cannot be read ({error}); fetch it again") from error
    files = tuple(index.parent / name for name in names)
    if missing := [file.name for file in files if not file.is_file()]:
        raise CheckpointError(f"{index} names {few(missing)}, which {index.parent} does not hold; fetch them again")
    return files


def _read_file(path: Path) -> object:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Only files in torch's format of since 1.6 can be mapped.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    # A damaged file can raise almost anything.
    except Exception as error:
        if path.suffix != ".safetensors" and (names := _refused_classes(path, str(error))):
            raise CheckpointError(
                f"{path} cannot be read: it holds more than tensors ({few(names)}), and reading such objects can run "
                "any code; it is not opened. Where it was made, load the model with the program that made it and save "
                'its weights alone: torch.save(model.state_dict(), "weights.pth")'
            ) from error
        raise CheckpointError(f"{path} cannot be read ({_reason(error)}); fetch it again") from error


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    # The unpickler's text is about ways to load unsafely; what else torch says may run over lines.
    return "it is damaged, or no weight file" if "weights_only" in text else shorten(text.splitlines()[0])


def _refused_classes(path: Path, message: str) -> list[str]:
    """Return the classes for which the weights-only unpickler refused a file; none if that was not the reason."""
    if "weights_only" not in message:
        return []
    try:
        # Of older files, and of damaged ones, it knows nothing.
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:
        names = []
    return sorted(names or set(_REFUSED.findall(message)))
