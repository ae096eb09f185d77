"""Cellpose: numbers of cells in x_cp_masks.png or .tif beside x.tif, or x_masks beside x_img as in its own dataset.

Format: https://cellpose.readthedocs.io/en/latest/outputs.html; Stringer et al., "Cellpose: a generalist algorithm for
cellular segmentation", Nature Methods 2021. x_seg.npy is a pickle, which may run any program when it is read, and is
refused. Cellpose writes no PNG of an image in which it found no cell, so that such an image has no mask; its TIFF has.
"""

from dataclasses import replace
from pathlib import Path

from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import MASK_OPTIONS, Found, Importer, ImportRequest, Source, register, subfolders
from naslora_core.data.importers.legends.legend import Legend
from naslora_core.data.importers.reading.read_masks import read_masks, with_reading
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.object_formats import SPLIT_WORDS, build_found
from naslora_core.errors import DataError, few

# Endings of masks, and of their images.
ENDINGS = (("_cp_masks", ""), ("_masks", "_img"))
# What Cellpose writes beside, as its own get_image_files leaves it out.
OTHERS = ("_cp_output", "_cp_outlines", "_flows", "_flows_0", "_flows_1", "_flows_2", "_cellprob", "_cp")
PICKLE = "_seg.npy"
MASKS_FOLDER = "masks"


def find_cellpose(request: ImportRequest) -> Found:
    """Pair the masks of a folder, and of its folders of splits, with their images.

    Raises:
        DataError: if there are pickles only, or two files of a name.
    """
    root = request.folder
    folders = [root] if _holds(root) else [folder for folder in subfolders(root) if _is_split(folder)]
    found: list[tuple[str, str, Path | None, Path | None, str | None]] = []
    unread = 0
    for folder in folders:
        split = None if folder == root else SPLIT_WORDS[folder.name.lower()]
        unread += len(list(folder.glob(f"[!.]*{PICKLE}")))
        found += [(folder.name, *pair, split) for pair in _pair(folder)]
    masks = [mask for *_, mask, _ in found if mask is not None]
    if not masks:
        raise DataError(
            f"{root} holds *{PICKLE} only, which are pickles: reading one may run any program, so they are not read. "
            "Save the masks as images: in Cellpose's window File > Save masks as PNG/tif, or run it with --save_tif"
        )
    without = [name for _, name, image, mask, _ in found if image and not mask]
    notes = [f"{unread} files *{PICKLE} are pickles and were not read; the masks beside them were"] if unread else []
    if without:
        notes.append(
            f"{len(without)} images have no mask: {few(without)}. Cellpose writes no PNG where it finds no cell; "
            "run it with --save_tif, which writes one, or leave them out with --pairs-only"
        )
    names = unique_names([(place, name) for place, name, *_ in found])
    sources = [Source(name, image, mask, split) for name, (_, _, image, mask, split) in zip(names, found, strict=True)]
    pairs = build_found(root, sources, (), "Cellpose's masks", tuple(notes))
    says_otherwise = request.threshold or any(request.classes.values())
    request = request if says_otherwise else replace(request, reading=request.reading or "instances")
    return with_reading(pairs, read_masks(sources, request, Legend("Cellpose", {1: "cell"})))


def _pair(folder: Path) -> list[tuple[str, Path | None, Path | None]]:
    """Return name, image and mask of each pair of a folder; one of both may be missing."""
    ending, of_image = next((pair for pair in ENDINGS if _masks(folder, pair[0])), ENDINGS[0])
    masks = {one_form(path.stem).removesuffix(ending): path for path in _masks(folder, ending)}
    images: dict[str, Path] = {}
    for path in sorted(folder.glob("[!.]*")):
        # Not all images of the folder are paired: masks may be there as PNG and as TIFF.
        is_image = path.suffix.lower() in IMAGE_SUFFIXES and path.stem.endswith(of_image)
        if is_image and not path.stem.endswith((*OTHERS, *(mask for mask, _ in ENDINGS))):
            name = one_form(path.stem).removesuffix(of_image)
            if name in images:
                raise DataError(f"{folder} holds both {images[name].name} and {path.name}; rename or remove one")
            images[name] = path
    return [(name, images.get(name), masks.get(name)) for name in sorted(images.keys() | masks.keys())]


def _masks(folder: Path, ending: str) -> list[Path]:
    """Return the masks in a folder, or in the folder masks/ that --in_folders makes; PNG where there are both."""
    for place in (folder, folder / MASKS_FOLDER):
        paths = sorted(place.glob(f"[!.]*{ending}.*"), reverse=True) if place.is_dir() else []
        found = {path.stem: path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES}
        if ending != ENDINGS[0][0]:
            found = {name: path for name, path in found.items() if _image_beside(folder, name, ending)}
        if found:
            return sorted(found.values())
    return []


def _image_beside(folder: Path, name: str, ending: str) -> bool:
    stem = name.removesuffix(ending) + dict(ENDINGS)[ending]
    return any((folder / f"{stem}{suffix}").is_file() for suffix in sorted(IMAGE_SUFFIXES))


def _holds(folder: Path) -> bool:
    pickles = folder.glob(f"[!.]*{PICKLE}")
    return any(_masks(folder, ending) for ending, _ in ENDINGS) or any(
        (path.with_name(path.name.removesuffix(PICKLE) + suffix)).is_file()
        for path in pickles
        for suffix in sorted(IMAGE_SUFFIXES)
    )


def _is_split(folder: Path) -> bool:
    return folder.name.lower() in SPLIT_WORDS and _holds(folder)


register(
    Importer(
        name="cellpose",
        summary="Cellpose: x_cp_masks.png or .tif beside x.tif",
        expected="images, and their masks *_cp_masks.png or *_cp_masks.tif",
        is_root=lambda folder: _holds(folder) or any(map(_is_split, subfolders(folder))),
        find=find_cellpose,
        options=MASK_OPTIONS,
    )
)
