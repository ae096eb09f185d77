"""Read weight files and folders of weight files, without unpickling anything but tensors."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from naslora_core.errors import CheckpointError, few, is_out_of_memory, shorten
from naslora_core.sam.layouts.file_kind import is_safetensors, require_weights
from naslora_core.sam.layouts.folder import weight_files

# The one name that the weights-only unpickler's message gives; the rest of it advises to load unsafely.
_REFUSED = re.compile(r"GLOBAL ([\w.]+)")


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
        if twice := sorted(str(key) for key in merged.keys() & content.keys()):
            raise CheckpointError(f"{file} holds {few(twice, 3)}, as another shard does; fetch the shards again")
        merged |= content
    return merged


def _read_file(path: Path) -> object:
    try:
        if safe := is_safetensors(path):
            return load_file(path)
        require_weights(path)
        # Files in torch's format of since 1.6 can be mapped, by their name; and torch goes by the suffix of that.
        if zipfile.is_zipfile(path) and path.suffix != ".safetensors":
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} cannot be read ({error}); fetch it again") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}); look at its permissions and its disk") from error
    # A damaged file can raise almost anything.
    except Exception as error:
        if is_out_of_memory(error):
            raise
        if not safe and (names := _refused_classes(path, str(error))):
            raise CheckpointError(
                f"{path} cannot be read: it holds more than tensors ({few(names)}), and reading such objects can run "
                "any code; it is not opened. Where it was made, load the model with the program that made it and save "
                'its weights alone: torch.save(model.state_dict(), "weights.pth")'
            ) from error
        raise CheckpointError(f"{path} cannot be read ({_reason(error)}); fetch it again") from error


def _reason(error: Exception) -> str:
    # The unpickler's text is about ways to load unsafely, that of torch's readers about their code.
    if isinstance(error, SafetensorError):
        return shorten(str(error).splitlines()[0])
    return "it is damaged, or no weight file"


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
