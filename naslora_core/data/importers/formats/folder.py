"""Plain folders: images and masks in two folders, of each split or of all, in one, or files that a CSV file pairs."""

from dataclasses import replace
from pathlib import Path

from naslora_core.data.dataset.card import CARD_FILE, DatasetCard, read_card
from naslora_core.data.dataset.dataset import list_images, read_dataset
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.importers.base import MASK_OPTIONS, Found, Importer, ImportRequest, Source, register, subfolders
from naslora_core.data.importers.reading.by_card import as_card_says
from naslora_core.data.importers.reading.read_masks import read_masks, with_reading
from naslora_core.data.importers.reading.survey import survey_masks
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.one_folder import MASK_ENDINGS, images_with_alpha, pair_one_folder
from naslora_core.data.importers.shared.pairs_file import read_pairs
from naslora_core.data.importers.shared.split_folders import find_split_folders
from naslora_core.errors import DataError, few
from naslora_core.reading import parse_yaml

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "original_images", "photos", "JPEGImages")
MASK_FOLDERS = (
    "masks",
    "mask",
    "binary_mask",
    "binary_masks",
    "labels",
    "label",
    "annotations",
    "ground_truth",
    "gt",
    "GT",
    "SegmentationClass",
)
MASK_SUFFIXES = ("", *MASK_ENDINGS)


def find_folder(request: ImportRequest) -> Found:
    """Pair the files of two folders by their names without extension, of one folder, or as a CSV file says.

    A mask may be named as its image or with an ending such as `_mask`, or be the alpha channel of its image. What the
    numbers of the masks mean is found out from all of them, and from the legends that lie beside them.

    Raises:
        DataError: if a folder is missing, ambiguous or empty, no mask is named as an image, a CSV file is wrong, or
            several readings of the masks are possible.
        ConfigError: if options contradict each other or the masks.
    """
    if own := _own_card(request):
        return _found_again(request, own)
    if request.pairs:
        sources = read_pairs(request.pairs, request.folder, request.left_out)
    elif not (sources := _in_split_folders(request) or _in_one_folder(request)):
        sources = _pair_folders(request)
    own_masks = all(source.image == source.mask for source in sources)
    if own_masks:
        request = replace(request, reading=request.reading or "alpha")
    found = Found(
        sources=sources,
        title=f"Images from the folder {request.folder.resolve().name}",
        classes=(),
        licence="not stated",
        citation="not stated",
        origin="imported from plain folders",
    )
    understood = read_masks(sources, request)
    if own_masks and not all(row.pixels for row in understood.meanings):
        raise DataError(
            f"{request.folder} has no folder of masks, and the alpha channel of its images is opaque everywhere or "
            "nowhere (opaque is 128 and more); name the masks with --masks, or write the channel as 0 and 255"
        )
    return with_reading(found, understood)


def _own_card(request: ImportRequest) -> DatasetCard | None:
    """Return the card of a dataset of ours; other programs have a dataset.yaml too."""
    asked = request.pairs or request.images or request.classes or request.threshold or request.reading
    if asked or request.ignore or not (request.folder / CARD_FILE).is_file():
        return None
    try:
        content = parse_yaml((request.folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return read_card(request.folder) if isinstance(content, dict) and {"classes", "split"} <= content.keys() else None


def _found_again(request: ImportRequest, card: DatasetCard) -> Found:
    dataset = read_dataset(request.folder)
    sources = tuple(Source(pair.name, pair.image, pair.mask, pair.split, pair.group) for pair in dataset.pairs)
    masks = [pair.mask for pair in dataset.pairs if pair.mask is not None]
    found = Found(
        sources=sources,
        title=card.title,
        classes=card.classes,
        licence=card.licence,
        citation=card.citation,
        origin=card.source,
        accepted_copies=card.accepted_copies,
    )
    return with_reading(found, as_card_says(survey_masks(masks, request.progress), card))


def _in_split_folders(request: ImportRequest) -> tuple[Source, ...]:
    """Return the pairs of the folders of each split; nothing if there are none such."""
    parts = () if request.images else find_split_folders(request.folder, IMAGE_FOLDERS, MASK_FOLDERS)
    found = [(part, source) for part in parts for source in _pair(part.images, part.masks)]
    names = unique_names([(str(part.images.relative_to(request.folder)), source.name) for part, source in found])
    return tuple(
        replace(source, name=name, split=part.split) for name, (part, source) in zip(names, found, strict=True)
    )


def _in_one_folder(request: ImportRequest) -> tuple[Source, ...]:
    """Return the pairs of images and masks in one folder; nothing if there are two folders."""
    if request.images and request.masks:
        if request.images.resolve() != request.masks.resolve():
            return ()
        folder = request.images
    else:
        present = [path.name for path in subfolders(request.folder)]
        if any(name in present for name in MASK_FOLDERS):
            return ()
        images = [name for name in IMAGE_FOLDERS if name in present]
        folder = request.folder / images[0] if len(images) == 1 else request.folder
    if sources := pair_one_folder(folder) or images_with_alpha(folder):
        return sources
    if request.masks:
        raise DataError(
            f"{folder} is to hold images and masks, but no two files of it belong together; call the mask of x.jpg "
            "x_mask.png, give two folders, or list the pairs: --pairs FILE.csv"
        )
    return ()


def _pair_folders(request: ImportRequest) -> tuple[Source, ...]:
    images_folder = request.images or _look_for(request.folder, IMAGE_FOLDERS, "images")
    masks_folder = request.masks or _look_for(request.folder, MASK_FOLDERS, "masks")
    return _pair(images_folder, masks_folder)


def _pair(images_folder: Path, masks_folder: Path) -> tuple[Source, ...]:
    images, masks = _images_of(images_folder), _images_of(masks_folder)
    masks = _named_as(images, masks)
    paired = images.keys() & masks.keys()
    if not paired:
        raise DataError(
            f"no mask of {masks_folder} is named as an image of {images_folder}: images are called "
            f"{_examples(images)}, masks {_examples(masks)}. Rename one side so that they match, or list the pairs: "
            "--pairs FILE.csv"
        )
    names = sorted(images.keys() | masks.keys())
    return tuple(Source(name, images.get(name), masks.get(name)) for name in names)


def _look_for(folder: Path, names: tuple[str, ...], kind: str) -> Path:
    present = [path.name for path in subfolders(folder)]
    matches = [name for name in names if name in present]
    if len(matches) != 1:
        several = f"several folders that could hold {kind}: {', '.join(matches)}"
        problem = several if matches else f"no {kind} folder"
        raise DataError(
            f"{folder} has {problem}; it holds: {few(present) or 'no folder'}. "
            f"Name it with --{kind} (found by themselves: {', '.join(names)})"
        )
    return folder / matches[0]


def _images_of(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; check the path")
    if not (found := list_images(folder)):
        inside = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        raise DataError(
            f"{folder} holds no image file; it holds: {few(inside) or 'nothing'}. Read are "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}; files in folders of it need a list of pairs: --pairs FILE.csv"
        )
    return found


def _named_as(images: dict[str, Path], masks: dict[str, Path]) -> dict[str, Path]:
    candidates = []
    for suffix in MASK_SUFFIXES:
        renamed = {name.removesuffix(suffix): path for name, path in masks.items()}
        # An ending that makes two masks share a name is not what tells masks from images here.
        if len(renamed) == len(masks):
            candidates.append((len(renamed.keys() & images.keys()), renamed))
    return max(candidates, key=lambda candidate: candidate[0])[1]


def _examples(found: dict[str, Path]) -> str:
    return few((path.name for path in found.values()), 3)


def _is_root(folder: Path) -> bool:
    if find_split_folders(folder, IMAGE_FOLDERS, MASK_FOLDERS):
        return True
    names = {path.name for path in subfolders(folder)}
    if names.intersection(MASK_FOLDERS):
        return bool(names.intersection(IMAGE_FOLDERS))
    inside = [folder, *(folder / name for name in names.intersection(IMAGE_FOLDERS))]
    return any(pair_one_folder(place) or images_with_alpha(place) for place in inside)


register(
    Importer(
        name="folder",
        summary="plain folders of images and masks, or a list of pairs (--pairs)",
        expected="images/ and masks/, or both in train/, val/ and test/",
        is_root=_is_root,
        find=find_folder,
        options=MASK_OPTIONS | {"images", "masks", "pairs"},
        explains=True,
    )
)
