"""Cityscapes: leftImg8bit/<split>/<city>/x_leftImg8bit.png and gtFine/<split>/<city>/x_gtFine_labelIds.png.

Format and ids: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016,
https://github.com/mcordts/cityscapesScripts, helpers/labels.py. The 19 classes that its benchmark evaluates are
classes here; all other ids (of void and of rare classes) are not labelled, as in labelTrainIds, which is read where
labelIds is missing. Images of a city are a group. Masks of images for testing, which label nothing, are left out.
"""

from pathlib import Path

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.dataset.splits import TEST
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register, subfolders
from naslora_core.data.importers.labelled.readers.label_values import ValueLegend, found_by_values, survey_values
from naslora_core.data.importers.shared.object_formats import SPLIT_WORDS
from naslora_core.errors import DataError

IMAGES, MASKS = "leftImg8bit", "gtFine"
IMAGE_ENDING = "_leftImg8bit.png"
# Ids of the classes that are evaluated; their places in this order are their train ids.
IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27,
    "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
HIGHEST_ID = 33
LEGENDS = {
    "labelIds": ValueLegend(
        "the list of Cityscapes' ids",
        {number: name for name, number in IDS.items()},
        frozenset({*range(HIGHEST_ID + 1), IGNORED_ID} - set(IDS.values())),
    ),
    "labelTrainIds": ValueLegend("the list of Cityscapes' train ids", dict(enumerate(IDS)), frozenset({IGNORED_ID})),
}


def find_cityscapes(request: ImportRequest) -> Found:
    """Pair images and masks of all splits and cities.

    Raises:
        DataError: if there is no image, or some masks hold ids and others train ids.
        ConfigError: if a class is asked for that no mask shows.
    """
    root = request.folder
    cities = [(part, city) for part in _parts(root) for city in subfolders(part)]
    images = [(part, city, path) for part, city in cities for path in sorted(city.glob(f"[!.]*{IMAGE_ENDING}"))]
    if not images:
        raise DataError(f"{root / IMAGES} holds no image; expected <split>/<city>/*{IMAGE_ENDING}")
    kind = _kind(root, [path for *_, path in images])
    unlabelled, sources = 0, []
    masks = {path: mask for *_, path in images if (mask := _mask_of(root, path, kind)).is_file()}
    survey = survey_values(list(masks.values()))
    for part, city, path in images:
        found, split = masks.get(path), SPLIT_WORDS[part.name.lower()]
        # The published masks of test images hold ids of void alone.
        is_bare = found is None or survey.values.get(found, frozenset({-1})) <= LEGENDS[kind].ignored
        if is_bare and split == TEST:
            unlabelled += 1
            continue
        sources.append(Source(path.name.removesuffix(IMAGE_ENDING), path, found, split, group=city.name))
    notes = [f"{unlabelled} test images have no labels and were left out"] if unlabelled else []
    return found_by_values(sources, LEGENDS[kind], request, "the layout of Cityscapes", notes, survey)


def _parts(root: Path) -> list[Path]:
    return [folder for folder in subfolders(root / IMAGES) if folder.name.lower() in SPLIT_WORDS]


def _mask_of(root: Path, image: Path, kind: str) -> Path:
    part, city = image.parts[-3:-1]
    return root / MASKS / part / city / f"{image.name.removesuffix(IMAGE_ENDING)}_{MASKS}_{kind}.png"


def _kind(root: Path, images: list[Path]) -> str:
    """Return which masks to read: those of ids unless there are none of them."""
    counts = {kind: sum(_mask_of(root, image, kind).is_file() for image in images) for kind in LEGENDS}
    first, second = LEGENDS
    if not any(counts.values()):
        raise DataError(
            f"{root / MASKS} has no mask named as an image: expected <split>/<city>/x_{MASKS}_{first}.png; files of "
            "polygons become masks with cityscapesscripts.preparation.createTrainIdLabelImgs"
        )
    if 0 < counts[first] < counts[second]:
        raise DataError(
            f"{root / MASKS} has {counts[first]} masks *_{first}.png and {counts[second]} *_{second}.png, which mean "
            "other things; keep one kind for all images"
        )
    return first if counts[first] else second


register(
    Importer(
        name="cityscapes",
        summary="Cityscapes: leftImg8bit, and gtFine with labelIds or labelTrainIds",
        expected=f"{IMAGES}/<split>/<city>/*{IMAGE_ENDING} and {MASKS}/<split>/<city>/*_{MASKS}_labelIds.png",
        is_root=lambda folder: (folder / IMAGES).is_dir() and (folder / MASKS).is_dir(),
        find=find_cityscapes,
        options=frozenset({"classes"}),
    )
)
