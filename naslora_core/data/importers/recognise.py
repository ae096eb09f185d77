"""Recognise the layout of a folder by asking every importer."""

from functools import cache
from pathlib import Path

from naslora_core.data.importers.base import IMPORTERS, Importer, subfolders
from naslora_core.errors import DataError, few


def recognise(folder: Path) -> Importer:
    """Return the only importer whose layout begins in `folder` or a few folders further in.

    Plain folders are what remains when no other layout fits: many a published one consists of such folders.

    Raises:
        DataError: if none fits, or several do.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder or an archive; check the path")
    plain = [importer for importer in map(IMPORTERS.__getitem__, IMPORTERS) if importer.explains]
    others = [importer for importer in map(IMPORTERS.__getitem__, IMPORTERS) if not importer.explains]
    # All of them walk through the same folders, which may hold many files.
    inside = cache(subfolders)
    fitting = [one for one in others if any(map(one.is_unmistakable, one.roots(folder, inside)))]
    fitting = fitting or [one for one in plain if one.roots(folder, inside)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(importer.name for importer in fitting)
        raise DataError(f"{folder} could be any of {names}; say which: naslora data import {fitting[0].name} …")
    there = few((path.name for path in subfolders(folder)), 8) or "no folder"
    raise DataError(
        f"{folder} has none of the layouts {', '.join(IMPORTERS)}; it holds {there}. naslora data import --help says "
        "what each looks like in a line; with --images and --masks, or --pairs, layout folder takes any files"
    )
