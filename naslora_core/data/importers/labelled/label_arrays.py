"""Arrays of labels: x.npy, of NumPy, beside the image x or in a folder of masks.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Read without pickle. An array is (H, W)
or (H, W, 1), of truth values or whole numbers. True, or 1 alone, is the object; other values need names: --class a=1.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID
from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.labelled.readers.beside import images_of
from naslora_core.data.importers.shared.object_formats import build_found
from naslora_core.errors import ConfigError, DataError, few

ENDING = ".npy"
LABEL_FOLDERS = ("masks", "labels", ".")
# What people add to the name of an image.
NAME_ENDINGS = ("", "_mask", "_masks", "_label", "_labels", "_seg")
_SHOWN = 8


@dataclass(frozen=True)
class ArrayMask:
    """The mask of one image, read from its array when called; `meaning` is pairs of value and class id."""

    file: Path
    meaning: tuple[tuple[int, int], ...]

    def __call__(self) -> np.ndarray:
        """Return (H, W) uint8 class ids.

        Raises:
            DataError: if the file has been changed, and cannot be read any more.
        """
        values = read_labels(self.file)
        ids = np.zeros(values.shape, np.uint8)
        for value, class_id in self.meaning:
            ids[values == value] = class_id
        return ids


def read_labels(file: Path) -> np.ndarray:
    """Return the labels of an array, (H, W), of truth values or whole numbers; the file stays on disk.

    Raises:
        DataError: if it is no array of NumPy, a pickle, cut short, or of another kind or shape.
    """
    try:
        # Mapped into memory, a header cannot claim more than the file holds.
        values = np.load(file, mmap_mode="r", allow_pickle=False)
    # Damaged headers, which NumPy reads as Python, make it raise almost anything.
    except Exception as error:
        raise DataError(
            f"{file} is no array of plain numbers: {str(error)[:200]}; save it as numpy.save(file, labels), of whole "
            "numbers. Pickles are not read, as reading one may run any program"
        ) from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "bui":
        kind = getattr(values, "dtype", type(values).__name__)
        raise DataError(f"{file} holds {kind}, expected whole numbers or truth values; cut scores first, then save")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size:
        raise DataError(
            f"{file} has the shape {values.shape}, expected (H, W) or (H, W, 1), as it could be one-hot, a stack or "
            "colours; of one-hot classes save labels.argmax(axis), of one class its plane"
        )
    return values


def find_label_arrays(request: ImportRequest) -> Found:
    """Pair arrays and images by their names, and read all arrays to know their values.

    Raises:
        DataError: if no array is named as an image, one cannot be read, or their values have no names.
        ConfigError: if a class has no value, or one that no number can be.
    """
    root = request.folder
    images = images_of(root)
    arrays = _named_as(images, _arrays(root))
    pairs = {name: file for name, file in arrays.items() if name in images}
    if not pairs:
        raise DataError(
            f"{root}: no {ENDING} file is named as an image: images are {few(sorted(images))}, arrays "
            f"{few(sorted(arrays))}. Call the array of x.png x{ENDING}"
        )
    read = dict(request.left_out.read_each(lambda name: (name, _count(pairs[name])), pairs))
    read = _with_known_values(read, pairs, request) if request.left_out.skip else read
    if not read:
        raise DataError(f"{root}: of {len(pairs)} arrays none can be read: {next(iter(request.left_out.errors))}")
    classes, meaning = _meaning(request, sum(read.values(), Counter()), next(iter(pairs.values())))
    images = {name: image for name, image in images.items() if name in read or name not in pairs}
    sources = [
        Source(name, image, ArrayMask(pairs[name], tuple(meaning.items())) if name in pairs else None)
        for name, image in images.items()
    ]
    lone, bare = sorted(arrays.keys() - images.keys()), sorted(images.keys() - pairs.keys())
    notes = [f"{len(lone)} arrays are named as no image and were left out: {few(lone)}"] if lone else []
    notes += [f"{len(bare)} images have no array: {few(bare)}; --pairs-only leaves them out"] if bare else []
    made = build_found(root, sources, classes, "arrays of NumPy", tuple(notes))
    return replace(made, mask_ignore=(IGNORED_ID,)) if IGNORED_ID in meaning.values() else made


def _count(file: Path) -> Counter[int]:
    values, counts = np.unique(read_labels(file), return_counts=True)
    return Counter({int(value): int(count) for value, count in zip(values, counts, strict=True)})


def _with_known_values(
    read: Mapping[str, Counter[int]], pairs: Mapping[str, Path], request: ImportRequest
) -> dict[str, Counter[int]]:
    """Return the arrays that have no value beside those the request names, if it names some."""
    named = {value for values in request.classes.values() for value in values}
    known = named | {0, IGNORED_ID}
    odd = {name: sorted(set(counts) - known) for name, counts in read.items() if named and set(counts) - known}
    if len(odd) == len(read):
        return dict(read)
    for name, values in odd.items():
        shown = ", ".join(map(str, values[:_SHOWN]))
        request.left_out.add(DataError(f"{pairs[name]} has {shown}, which --class does not name"))
    return {name: counts for name, counts in read.items() if name not in odd}


def _meaning(
    request: ImportRequest, counts: Mapping[int, int], example: Path
) -> tuple[tuple[str, ...], dict[int, int]]:
    """Return the classes, and the class id of every value."""
    given = {name: values for name, values in request.classes.items() if values}
    if given:
        if without := [name for name in request.classes if name not in given]:
            raise ConfigError(f"--class {without[0]} needs the value that means it: --class {without[0]}=1")
        classes = tuple(name for name in given if name != BACKGROUND)
        meaning: dict[int, int] = {}
        for name, values in given.items():
            for value in values:
                if isinstance(value, str):
                    raise ConfigError(f"--class {name}={value}: arrays have numbers, and no colours")
                meaning[value] = 0 if name == BACKGROUND else classes.index(name) + 1
        known = {0: 0, IGNORED_ID: IGNORED_ID} | meaning
        if unknown := sorted(set(counts) - set(known)):
            raise DataError(
                f"{example.parent}: arrays have the values {_shares(counts, unknown)} as well; name them all"
            )
        return classes, known
    if len(request.classes) > 1 or not set(counts) <= {0, 1}:
        raise DataError(
            f"{example.parent}: the arrays have the values {_shares(counts, sorted(counts))}; say what they mean: "
            "--class a=1 --class b=2 for classes (255 is then not labelled). Numbers of objects: save labels > 0"
        )
    return tuple(request.classes) or ("object",), {0: 0, 1: 1}


def _shares(counts: Mapping[int, int], values: list[int]) -> str:
    total = sum(counts.values())
    shown = ", ".join(f"{value} ({counts[value] / total:.1%})" for value in values[:_SHOWN])
    return shown + (f", … ({len(values)} in all)" if len(values) > _SHOWN else "")


def _named_as(images: Mapping[str, Path], arrays: Mapping[str, Path]) -> dict[str, Path]:
    """Return the arrays by the names of images, without the ending that fits most."""
    renamed = [{name.removesuffix(ending): path for name, path in arrays.items()} for ending in NAME_ENDINGS]
    whole = [one for one in renamed if len(one) == len(arrays)]
    return max(whole, key=lambda one: len(one.keys() & images.keys()))


def _arrays(root: Path) -> dict[str, Path]:
    for folder in (root / name for name in LABEL_FOLDERS):
        # Cellpose's pickles have this ending, too.
        found = {one_form(path.stem): path for path in sorted(folder.glob(f"[!.]*{ENDING}")) if path.is_file()}
        if found and folder.is_dir():
            return found
    return {}


def _is_root(folder: Path) -> bool:
    names = {path.name for path in folder.glob(f"[!.]*{ENDING}")}
    if any(name.endswith("_seg.npy") for name in names):
        return False
    arrays = _arrays(folder)
    if not arrays:
        return False
    images = images_of(folder)
    return bool(_named_as(images, arrays).keys() & images.keys())


register(
    Importer(
        name="label_arrays",
        summary="arrays of labels, x.npy beside the image x",
        expected=f"images, and x{ENDING} for the image x, beside it or in masks/",
        is_root=_is_root,
        find=find_label_arrays,
        options=frozenset({"classes"}),
        is_unmistakable=lambda root: not any(list_images(root / name) for name in LABEL_FOLDERS[:-1]),
    )
)
