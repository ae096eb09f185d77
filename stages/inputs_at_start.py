"""See which inputs of a stage were edited while it worked with them: DVC reads them when the stage has ended."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PARAMS, _PIPELINE = Path("params.yaml"), Path("dvc.yaml")
_CODE = ("naslora_core", "stages")


@dataclass(frozen=True)
class InputsAtStart:
    """The inputs of a stage as they were when it began.

    Outputs of earlier stages are not among them: runs of one project keep each other out.

    Args:
        params: content of params.yaml.
        pipeline: content of dvc.yaml.
        code: content of the library's files, by path.
        folders: of data and models.
        looks: path, size in bytes and time of the last change, in ns, of each file in these.
    """

    params: bytes
    pipeline: bytes
    code: dict[str, bytes]
    folders: tuple[str, ...]
    looks: frozenset[tuple[str, int, int]]

    @classmethod
    def take(cls, domain: str) -> "InputsAtStart":
        """Look at the inputs that a stage may have in the working folder; "" is a stage for all domains."""
        code = {path.as_posix(): path.read_bytes() for package in _CODE for path in Path(package).rglob("*.py")}
        folders = (f"data/{domain}", "models") if domain else ()
        looks = frozenset(look for folder in folders for look in _looks(folder))
        return cls(_content(_PARAMS), _content(_PIPELINE), code, folders, looks)

    @property
    def same_params(self) -> bool:
        """Whether params.yaml is still the same."""
        return _content(_PARAMS) == self.params

    @property
    def same_pipeline(self) -> bool:
        """Whether dvc.yaml is still the same."""
        return _content(_PIPELINE) == self.pipeline

    def edited(self, inputs: Iterable[str]) -> list[str]:
        """Return the files that are not as they were, of those that `inputs` names or that lie in its folders."""
        named = list(inputs)
        now = frozenset(look for folder in self.folders for look in _looks(folder))
        files = {path for path, *_ in self.looks ^ now}
        files |= {path for path, content in self.code.items() if _content(Path(path)) != content}
        return sorted(path for path in files if any(path == name or path.startswith(f"{name}/") for name in named))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _looks(folder: str) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and time of every file in a folder; what cannot be looked at is passed over."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _looks(entry.path)
            continue
        try:
            status = entry.stat()
        except OSError:
            continue
        yield entry.path, status.st_size, status.st_mtime_ns
