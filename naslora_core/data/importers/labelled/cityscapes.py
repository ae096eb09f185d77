"""Cityscapes: leftImg8bit/<split>/<city>/x_leftImg8bit.png and gtFine/<split>/<city>/x_gtFine_labelIds.png.

Format and ids: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016,
https://github.com/mcordts/cityscapesScripts, helpers/labels.py. The 19 classes that its benchmark evaluates are
classes here; all other ids (of void and of rare classes) are not labelled, as in labelTrainIds, which is read where
labelIds is missing. Images of a city are a group. Masks of images for testing, which label nothing, are left out.
"""

from pathlib import Path

from naslora_core.data.dataset.splits import TEST
from naslora_core.data.importers.base import MASK_OPTIONS, Found, Importer, ImportRequest, Source, register, subfolders
from naslora_core.data.importers.legends.known import cityscapes_ids, cityscapes_train_ids
from naslora_core.data.importers.legends.legend import NOT_LABELLED
from naslora_core.data.importers.reading.read_masks import read_masks, with_reading
from naslora_core.data.importers.reading.survey import survey_masks
from naslora_core.data.importers.shared.object_formats import SPLIT_WORDS, build_found
from naslora_core.errors import DataError

IMAGES, MASKS = "leftImg8bit", "gtFine"
IMAGE_ENDING = "_leftImg8bit.png"
KINDS = {"labelIds": cityscapes_ids, "labelTrainIds": cityscapes_train_ids}


def find_cityscapes(request: ImportRequest) -> Found:
    """Pair images and masks of all splits and cities.

    Raises:
        DataError: if there is no image, or some masks hold ids and others train ids.
        ConfigError: if a class is asked for that the benchmark does not evaluate.
    """
    root = request.folder
    cities = [(part, city) for part in _parts(root) for city in subfolders(part)]
    images = [(part, city, path) for part, city in cities for path in sorted(city.glob(f"[!.]*{IMAGE_ENDING}"))]
    if not images:
        raise DataError(f"{root / IMAGES} holds no image; expected <split>/<city>/*{IMAGE_ENDING}")
    kind = _kind(root, [path for *_, path in images])
    legend = KINDS[kind]()
    masks = {path: mask for *_, path in images if (mask := _mask_of(root, path, kind)).is_file()}
    survey = survey_masks(list(masks.values()), request.progress)
    # The published masks of test images hold ids of void alone.
    void = {value for value, name in legend.by_value.items() if name == NOT_LABELLED}
    bare = {facts.path for facts in survey.readable if void.issuperset(facts.values)}
    unlabelled, sources = 0, []
    for part, city, path in images:
        found, split = masks.get(path), SPLIT_WORDS[part.name.lower()]
        if split == TEST and (found is None or found in bare):
            unlabelled += 1
            continue
        sources.append(Source(path.name.removesuffix(IMAGE_ENDING), path, found, split, group=city.name))
    notes = [f"{unlabelled} test images have no labels and were left out"] if unlabelled else []
    left_out = masks.keys() - {source.image for source in sources}
    survey = survey.without({masks[path] for path in left_out})
    pairs = build_found(root, sources, (), "the layout of Cityscapes", tuple(notes))
    return with_reading(pairs, read_masks(sources, request, legend, survey))


def _parts(root: Path) -> list[Path]:
    return [folder for folder in subfolders(root / IMAGES) if folder.name.lower() in SPLIT_WORDS]


def _mask_of(root: Path, image: Path, kind: str) -> Path:
    part, city = image.parts[-3:-1]
    return root / MASKS / part / city / f"{image.name.removesuffix(IMAGE_ENDING)}_{MASKS}_{kind}.png"


def _kind(root: Path, images: list[Path]) -> str:
    """Return which masks to read: those of ids unless there are none of them."""
    counts = {kind: sum(_mask_of(root, image, kind).is_file() for image in images) for kind in KINDS}
    first, second = KINDS
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
        options=MASK_OPTIONS,
    )
)
