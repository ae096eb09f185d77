"""What a file is by its first bytes: weights of either format, or what people take for them."""

import tarfile
import zipfile
from pathlib import Path

from naslora_core.errors import CheckpointError

# First bytes of a file, what it is, and what to do about it.
_UNPACK = "unpack it, and give the file or folder of weights in it"
_ITS_PROGRAM = "save its weights by the program that made it, as .safetensors"
_BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS in place of the weights", "run 'git lfs pull' in its folder"),
    (b"outs:", "a pointer of DVC", "run 'dvc pull' for it, and give the path without .dvc"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ", "an xz archive", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x89HDF", "a file of HDF5, as Keras writes it", _ITS_PROGRAM),
    (b"GGUF", "a GGUF file, whose weights are quantised", "give the model that it was made from"),
    (b"\x93NUMPY", "an array of NumPy", _ITS_PROGRAM),
    (b"\x89PNG", "an image", "give the path of a weight file"),
    (b"\xff\xd8\xff", "an image", "give the path of a weight file"),
    (b"%PDF", "a PDF", "give the path of a weight file"),
)
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")
_INDEX = ".index.json"
# Of torch's zip files: where tensors lie, and what a compiled program has beside them.
_PICKLE, _PROGRAM = "/data.pkl", "/constants.pkl"


def is_safetensors(path: Path) -> bool:
    """Return whether a file has the format safetensors, by its content: files are renamed, and blobs have no suffix."""
    with path.open("rb") as file:
        begin = file.read(9)
    # A header of JSON after its length, which has eight bytes.
    size = int.from_bytes(begin[:8], "little")
    return len(begin) == 9 and begin[8:] == b"{" and size + 8 <= path.stat().st_size


def require_weights(path: Path) -> None:
    """Check that a file is none of the things that people take for weights.

    Raises:
        CheckpointError: if it is; the message says what it is, and what to do.
        OSError: if it cannot be read.
    """
    if found := _describe(path):
        what, remedy = found
        raise CheckpointError(f"{path} cannot be read: it is {what}, expected weights; {remedy}")


def _describe(path: Path) -> tuple[str, str] | None:
    with path.open("rb") as file:
        begin = file.read(512)
    if not begin:
        return "empty", "fetch it again"
    for beginning, what, remedy in _BEGINNINGS:
        if begin.startswith(beginning):
            return what, remedy
    if (text := begin.removeprefix(b"\xef\xbb\xbf").lstrip().lower()).startswith(_PAGES):
        return "a web page that was saved in place of the file", "fetch it again, by the link to the file itself"
    if path.name.endswith(_INDEX):
        return "an index of shards", f"give their folder, {path.parent}"
    if text.startswith((b"{", b"[")):
        return "a text in JSON", "give the path of the weights; if a server answered so, fetch them again"
    if path.suffix == ".onnx":
        return "a model in ONNX", "give the checkpoint that it was made from"
    if zipfile.is_zipfile(path):
        return _describe_zip(path)
    return ("a tar archive", _UNPACK) if begin[257:262] == b"ustar" and tarfile.is_tarfile(path) else None


def _describe_zip(path: Path) -> tuple[str, str] | None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith(_PROGRAM) for name in names):
        save = 'torch.save(model.state_dict(), "weights.pth")'
        return "a TorchScript program", f"where it was made, save the weights of its model alone: {save}"
    if any(name.endswith(_PICKLE) for name in names):
        return None
    return ("arrays of NumPy", _ITS_PROGRAM) if all(name.endswith(".npy") for name in names) else ("a zip", _UNPACK)
