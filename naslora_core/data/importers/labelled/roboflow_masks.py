"""Roboflow's semantic masks: x.jpg, x_mask.png and _classes.csv in train/, valid/ and test/.

Format: https://roboflow.com/formats/semantic-segmentation-masks. _classes.csv names the values of the masks, with a
blank after each comma.
"""

from dataclasses import replace
from pathlib import Path

from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.importers.base import MASK_OPTIONS, Found, Importer, ImportRequest, Source, register, subfolders
from naslora_core.data.importers.legends.files import read_roboflow
from naslora_core.data.importers.reading.read_masks import read_masks, with_reading
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.object_formats import SPLIT_WORDS, build_found
from naslora_core.errors import DataError

CLASSES_FILE, ENDING = "_classes.csv", "_mask"


def find_roboflow(request: ImportRequest) -> Found:
    """Pair the images and masks of every part.

    Raises:
        DataError: if _classes.csv cannot be read, differs between the parts, or does not name a value.
        ConfigError: if a class is asked for that _classes.csv does not name.
    """
    root = request.folder
    folders = [root] if _is_part(root) else [folder for folder in subfolders(root) if _is_named_part(folder)]
    files = [folder / CLASSES_FILE for folder in folders]
    first, (legend, *others) = files[0], [read_roboflow(file) for file in files]
    if differing := [file for file, other in zip(files[1:], others, strict=True) if other != legend]:
        raise DataError(f"{differing[0]} names other classes than {first}; export all parts of one version")
    found = []
    for folder in folders:
        there = list_images(folder)
        masks = {name.removesuffix(ENDING): path for name, path in there.items() if name.endswith(ENDING)}
        images = {name: path for name, path in there.items() if not name.endswith(ENDING)}
        split = None if folder == root else SPLIT_WORDS[folder.name.lower()]
        found += [(folder.name, name, images.get(name), masks.get(name), split) for name in sorted({*images, *masks})]
    unique = unique_names([(place, name) for place, name, *_ in found])
    sources = [Source(name, image, mask, split) for name, (*_, image, mask, split) in zip(unique, found, strict=True)]
    pairs = build_found(root, sources, (), "Roboflow's semantic masks", ())
    return with_reading(pairs, read_masks(sources, request, replace(legend, source=str(first))))


def _is_part(folder: Path) -> bool:
    file = folder / CLASSES_FILE
    if not file.is_file() or not any(map(_is_picture, folder.iterdir())):
        return False
    # Roboflow's labels of whole images come with a file of the same name, whose first column is that of file names.
    with file.open("rb") as stream:
        return b"pixel value" in stream.readline(200).lower()


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _is_named_part(folder: Path) -> bool:
    return folder.name.lower() in SPLIT_WORDS and _is_part(folder)


register(
    Importer(
        name="roboflow_masks",
        summary="Roboflow's semantic masks: x.jpg, x_mask.png and _classes.csv",
        expected=f"train/, valid/ or test/ with images, masks *{ENDING}.png and {CLASSES_FILE}",
        is_root=lambda folder: _is_part(folder) or any(map(_is_named_part, subfolders(folder))),
        find=find_roboflow,
        options=MASK_OPTIONS,
    )
)
