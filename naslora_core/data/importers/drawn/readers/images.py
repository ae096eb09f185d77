"""Find the images that the file of an annotation tool names, and see that they are of the size it states."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from naslora_core.data.importers.base import Source
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.image_files import check_size, index_images, upright_size
from naslora_core.data.importers.shared.object_formats import once_each, split_from_path
from naslora_core.errors import DataError, few


class ImageFiles:
    """The images in a folder and all folders within it.

    Names are compared in one Unicode form. Only what lies within the folder is ever found, whatever a name says.
    """

    def __init__(self, root: Path) -> None:
        """List the images."""
        self.root = root
        self._by_name = index_images(root, lambda path: _composed(path.name))
        self.paths = [path for alike in self._by_name.values() for path in alike]

    def find(self, written: str, file: Path) -> Path | None:
        """Return the image that `written` in `file` means: the one whose path ends like it in most folders.

        Raises:
            DataError: if two fit equally well.
        """
        wanted = [part for part in PurePosixPath(_composed(written.replace("\\", "/"))).parts if part not in "/.."]
        candidates = self._by_name.get(wanted[-1], []) if wanted else []
        # Some tools write a blank as %20.
        if wanted and not candidates and (plain := unquote(written)) != written:
            return self.find(plain, file)
        beside = file.parent.joinpath(*wanted)
        if len(candidates) < 2 or beside in candidates:
            return beside if beside in candidates else next(iter(candidates), None)
        alike = {path: _shared_end(wanted, _composed(path.as_posix()).split("/")) for path in candidates}
        best = [path for path in candidates if alike[path] == max(alike.values())]
        if len(best) > 1:
            raise DataError(f"{file}: '{written}' could be {best[0]} or {best[1]}; remove one, or rename both")
        return best[0]


def agreed_size(stated: tuple[int, int] | None, image: Path | None, file: Path) -> tuple[int, int] | None:
    """Return (H, W) of an image and what is stated of it; None if neither is there.

    Raises:
        DataError: if they differ: the objects were drawn on another image, or the image was resized since; or if the
            image cannot be opened.
    """
    actual = upright_size(image) if image else None
    if stated and image:
        check_size(stated, image, file)
    return stated or actual


def named_apart(sources: Iterable[tuple[str, Source]], left_out: LeftOut | None = None) -> list[Source]:
    """Return sources under unique names; each comes with the folder that tells it from others of its name.

    Raises:
        DataError: if two are of one image; with a `left_out` that takes errors the first of them stays.
    """
    listed = once_each(list(sources), left_out or LeftOut())
    names = unique_names([(folder, source.name) for folder, source in listed])
    return [replace(source, name=name) for name, (_, source) in zip(names, listed, strict=True)]


def split_of_folder(folder: Path) -> str | None:
    """Return the split that a relative folder names, as `split_from_path` reads it of a file in it."""
    return split_from_path(folder / "_")


def counted(counts: Mapping[str, int], why: str) -> tuple[str, ...]:
    """Return the note that says how many of each kind were left out and why; none if there is nothing to say."""
    said = few(f"{count} {kind}" for kind, count in sorted(Counter(counts).items()) if count)
    return (f"left out: {said}: {why}",) if said else ()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _shared_end(one: list[str], other: list[str]) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return length
