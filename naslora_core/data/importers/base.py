"""The interface of importers: the request, the result, and the registry."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from naslora_core.data.dataset.card import MaskReading, MaskValues
from naslora_core.data.dataset.image_files.reading import ImageReading
from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import ObjectMask
from naslora_core.data.importers.shared.image_files import check_size
from naslora_core.errors import ConfigError, DataError, few
from naslora_core.progress import Progress, silent
from naslora_core.registry import Registry

if TYPE_CHECKING:
    from naslora_core.data.importers.reading.understood import Understood

# An image file to copy, or a function that makes the pixels when it is their turn, so that one is held at a time:
# (H, W, 3) uint8 RGB of an image, (H, W) uint8 class ids of a mask.
Pixels = Path | Callable[[], np.ndarray]
# What a layout of mask files can be asked of, beyond what all layouts share: see `reading.read_masks`.
MASK_OPTIONS = frozenset({"threshold", "classes", "reading", "ignore"})
# How deep an archive or a download may wrap a dataset in folders of its own.
DEPTH = 3


@dataclass(frozen=True)
class ImportRequest:
    """What the user wants imported; None and empty leave the choice to the importer, or to an earlier import.

    Attributes:
        folder: where the data lies.
        images: folder of the images, if it has an unusual name.
        masks: folder of the masks, likewise.
        pairs: CSV file that says which image belongs to which mask.
        threshold: least mask value that is foreground.
        classes: by name of a class, the mask values or colours that mean it; none where the name says it all.
        bands: numbers of the bands that are shown, from 1 on; none leaves them to the files.
        value_range: which stored values become black and white, as `parse_range` reads it, or "auto".
        tile_px: side of the square pieces that large images are cut into.
        seed: draws the split of what comes without one.
        validation: share of the images that is drawn for validation.
        test: share of the images that is drawn for testing.
        outline: whether the corners of outlines are pixels ("centres"), or lie between pixels ("edges").
        void: whether pixels of no segment are left out of training and metrics, or show no object.
        reading: what the numbers of mask files are; None is found out.
        ignore: values or colours of masks that nobody labelled.
        progress: called after each file that is read to find that out.
        bare_is_empty: an image without a mask shows no object.
        left_out: takes the errors of single lines, objects and files, which stop the import unless it collects them.
    """

    folder: Path
    images: Path | None = None
    masks: Path | None = None
    pairs: Path | None = None
    threshold: int | None = None
    classes: Mapping[str, tuple[int, ...] | tuple[str, ...]] = field(default_factory=dict)
    bands: tuple[int, ...] = ()
    value_range: str | None = None
    tile_px: int | None = None
    seed: int | None = None
    validation: float | None = None
    test: float | None = None
    outline: Literal["centres", "edges"] | None = None
    void: Literal["ignore", "background"] | None = None
    reading: MaskReading | None = None
    ignore: MaskValues = ()
    progress: Progress = field(default=silent, compare=False)
    bare_is_empty: bool = False
    left_out: LeftOut = field(default_factory=LeftOut)


@dataclass(frozen=True)
class Source:
    """One pair to import, under its new name.

    `split` is None where none is published; images of one `group`, a scene's or a video's, stay in one split.
    """

    name: str
    image: Pixels | None
    mask: Pixels | None
    split: str | None = None
    group: str = ""


@dataclass(frozen=True)
class Found:
    """What an importer found, before anything is copied; fields named as in `DatasetCard` mean the same.

    `notes` tell the user what was left out or decided; `understood` is what a survey of mask files found.
    `image_is_settled` says that `image` holds for all sources, so that their headers need not be read again.
    """

    sources: tuple[Source, ...]
    title: str
    classes: tuple[str, ...]
    licence: str
    citation: str
    origin: str
    mask_threshold: int | None = None
    mask_values: Mapping[str, tuple[int, ...] | tuple[str, ...]] | None = None
    mask_ignore: tuple[int, ...] | tuple[str, ...] | None = None
    mask_reading: MaskReading | None = None
    image: ImageReading | None = None
    image_is_settled: bool = False
    understood: "Understood | None" = None
    accepted_copies: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def reading(self) -> MaskReading:
        """What the numbers of mask files are, also where a layout leaves it to its threshold or values."""
        if self.mask_reading is not None:
            return self.mask_reading
        if self.mask_values is None:
            return "grey"
        coloured = any(isinstance(value, str) for values in self.mask_values.values() for value in values)
        return "colours" if coloured else "values"


@dataclass(frozen=True)
class Importer:
    """A layout: how to recognise it, and how to read it.

    Attributes:
        name: what the user types.
        summary: one line on what the data shows.
        expected: the folders of the layout, as an error message says them.
        is_root: whether the layout begins in a folder.
        find: reads the layout; the folder of its request is the one the layout begins in.
        home: where the authors publish the data; "" for a layout that belongs to no dataset.
        options: which fields of `ImportRequest` it makes use of, beyond those all importers share; "classes" if it
            takes more than a new name for the only class.
        is_unmistakable: whether a folder `is_root` accepts can be of no other layout.
        explains: `find` raises its own error, which says what is missing, if the layout is not found.
    """

    name: str
    summary: str
    expected: str
    is_root: Callable[[Path], bool]
    find: Callable[[ImportRequest], Found]
    home: str = ""
    options: frozenset[str] = frozenset()
    is_unmistakable: Callable[[Path], bool] = lambda root: True
    explains: bool = False

    def __call__(self, request: ImportRequest) -> Found:
        """Find the layout in the request's folder, or a few folders further in, and read it.

        Raises:
            DataError: if it is not there, is there more than once, or holds something unexpected.
            ConfigError: if the request asks for something that the layout cannot do.
        """
        self._check_options(request)
        published = f" The authors publish it at {self.home}" if self.home else ""
        if not request.folder.is_dir():
            raise DataError(f"{request.folder} is not a folder; give the one that holds {self.expected}.{published}")
        roots = [] if request.images or request.pairs else self.roots(request.folder)
        if len(roots) > 1:
            several = few(root.relative_to(request.folder) for root in roots)
            listed = "; or list all pairs with their split: --pairs FILE.csv" if "pairs" in self.options else ""
            raise DataError(
                f"{request.folder} holds the layout {self.name} {len(roots)} times: {several}; name one, and bring the "
                f"others in with --add{listed}"
            )
        if not roots and not self.explains:
            raise DataError(
                f"{request.folder} is not {self.name}: expected {self.expected}. Check the path.{published} "
                "Other layouts: naslora data import --help"
            )
        found = self.find(replace(request, folder=roots[0]) if roots else request)
        fitting = request.left_out.read_each(partial(_fitting, request.left_out), found.sources)
        found = replace(found, sources=tuple(fitting))
        return found if "classes" in self.options else _adjusted(found, request)

    def roots(self, folder: Path, inside: Callable[[Path], list[Path]] | None = None) -> list[Path]:
        """Return where the layout begins: `folder`, or else all folders of the least depth within it; may be none.

        Args:
            folder: where to look.
            inside: `subfolders`, or what it has answered already.
        """
        list_folders = inside or subfolders
        level, seen = [folder], {folder.resolve()}
        for _ in range(DEPTH + 1):
            if found := [path for path in level if self.is_root(path)]:
                return found
            # A link to a folder that was looked into already leads to nothing new.
            below = {path.resolve(): path for parent in level for path in list_folders(parent)[::-1]}
            level = [path for place, path in sorted(below.items()) if place not in seen]
            seen |= below.keys()
        return []

    def _check_options(self, request: ImportRequest) -> None:
        options = ["images", "masks", "pairs", "outline", "void", "tile_px", "reading", "ignore"]
        # Layouts that do not name their classes have `_adjusted` look at the threshold.
        options += ["threshold"] * ("classes" in self.options)
        given = {name for name in options if getattr(request, name)}
        if wrong := sorted(given - self.options):
            able = ", ".join(name for name in IMPORTERS if wrong[0] in IMPORTERS[name].options)
            raise ConfigError(f"--{wrong[0].removesuffix('_px')} is for the layout {able}, not for {self.name}")


def _fitting(left_out: LeftOut, source: Source) -> Source:
    """Return a source, its name in one Unicode form, whose painted mask hands errors of single objects to `left_out`.

    Raises:
        DataError: if the objects were drawn on an image of another size.
    """
    source = replace(source, name=one_form(source.name))
    if not isinstance(source.mask, ObjectMask):
        return source
    if isinstance(source.image, Path) and isinstance(source.mask.size, tuple):
        check_size(source.mask.size, source.image, source.mask.file)
    return replace(source, mask=replace(source.mask, left_out=left_out))


def _adjusted(found: Found, request: ImportRequest) -> Found:
    if request.threshold:
        if found.mask_threshold is None:
            raise ConfigError("--threshold is for masks of grey levels; these have a value for every class")
        found = replace(found, mask_threshold=request.threshold)
    if request.classes:
        if len(request.classes) > 1 or len(found.classes) > 1 or any(request.classes.values()):
            raise ConfigError(
                f"--class does not fit: the data has its own classes, {few(found.classes)}; "
                "one alone can be renamed: --class NAME"
            )
        values = found.mask_values and dict(zip(request.classes, found.mask_values.values(), strict=True))
        found = replace(found, classes=tuple(request.classes), mask_values=values)
    return found


IMPORTERS: Registry[Importer] = Registry("dataset layout")


def register(importer: Importer) -> None:
    """Add an importer to `IMPORTERS` under its name.

    Raises:
        ConfigError: if the name is taken.
    """
    IMPORTERS.register(importer.name)(importer)


def holds(*paths: str) -> Callable[[Path], bool]:
    """Return a function that says whether a folder holds all `paths`; they are relative, with slashes."""
    return lambda folder: all((folder / path).exists() for path in paths)


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, sorted, without hidden ones and what macOS adds to archives.

    There are none in what is no folder, or may not be read.
    """
    try:
        # A listing tells folders from files; asking the disk about each of many images takes longer than the rest.
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_symlink() or entry.is_dir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    found = [folder / name for name in names if not name.startswith(".") and name != "__MACOSX"]
    return [path for path in found if path.is_dir()]
