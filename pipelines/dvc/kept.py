"""Ask DVC's local cache whether it holds a file or a folder, without starting dvc."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from naslora_core.files import file_md5
from pipelines.dvc.command import cache_folder

_FOLDER = ".dir"


class LocalCache:
    """The objects of DVC's cache on this machine.

    Args:
        root: the project's folder.

    Raises:
        PipelineError: at the first question, if dvc cannot tell where its cache is.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, md5: str) -> bool:
        """Return whether an object is there; of a folder, given by the hash of its listing, every file."""
        if not md5 or not self.object(md5).is_file():
            return False
        return not md5.endswith(_FOLDER) or all(self.object(file).is_file() for file in self.listing(md5).values())

    def has_content_of(self, path: Path) -> bool:
        """Return whether every file at a path could be taken from the cache again, under whatever name."""
        files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        return all(self.object(file_md5(file)).is_file() for file in files)

    def listing(self, md5: str) -> dict[str, str]:
        """Return the MD5 of every file of a folder, by its path in it; nothing if there is no such listing."""
        if not md5.endswith(_FOLDER):
            return {}
        try:
            content: list[dict[str, Any]] = json.loads(self.object(md5).read_text(encoding="utf-8"))
            return {item["relpath"]: item["md5"] for item in content}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    @cached_property
    def _objects(self) -> Path:
        return cache_folder(self._root) / "files" / "md5"

    def object(self, md5: str) -> Path:
        """Return where an object lies, or would."""
        return self._objects / md5[:2] / md5[2:]
