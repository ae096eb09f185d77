"""SA-1B: a JSON file for each image, with run lengths of masks that have no category.

Format: Kirillov et al., "Segment Anything", ICCV 2023, https://ai.meta.com/datasets/segment-anything/; what Segment
Anything's script for all masks of an image writes as COCO run lengths, too. All masks are of one class, which --class
names. Masks lie within others, as parts of things do: together they are what is not background.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import ObjectMask
from naslora_core.data.importers.shared.coco_file import checked_text, looks_like_coco, objects_of, stated_size
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.image_files import index_images, locate_image
from naslora_core.data.importers.shared.json_files import reason_of
from naslora_core.data.importers.shared.object_formats import build_found, once_each, split_from_path
from naslora_core.errors import DataError
from naslora_core.reading import read_object

CLASS = "object"
_KEYS, _OTHERS = ("image", "annotations"), ("images", "categories", "items", "shapes")
# How many files of a folder are looked at to recognise it.
_LOOKED_AT = 5


def find_sa1b(request: ImportRequest) -> Found:
    """Read the JSON file of each image.

    Raises:
        DataError: if a file is not sound; the message names it.
    """
    root = request.folder
    images = index_images(root)
    entries: list[tuple[str, Source]] = []
    empty = 0
    for file in _files(root):
        with request.left_out.taking():
            content = _read(file, request.left_out)
            image = content["image"]
            written = Path(image["file_name"].replace("\\", "/"))
            annotations = [annotation | {"category_id": 0} for annotation in content["annotations"]]
            objects = partial(objects_of, file, annotations, {0: 1}, "edges", request.left_out)
            mask = ObjectMask(file, stated_size(image), objects, "smaller_on_top")
            split = split_from_path(file.parent.relative_to(root)) if file.parent != root else None
            place, path = str(file.parent.relative_to(root)), locate_image(written, file, images, root)
            empty += not annotations
            entries.append((place, Source(one_form(written.stem), path, mask, split)))
    entries = once_each(entries, request.left_out)
    names = unique_names([(place, source.name) for place, source in entries])
    sources = [replace(source, name=name) for name, (_, source) in zip(names, entries, strict=True)]
    notes = (f"{empty} images have no mask in their JSON file: they count as showing no object",) if empty else ()
    return build_found(root, sources, (CLASS,), "SA-1B JSON", notes)


def _read(file: Path, left_out: LeftOut) -> dict[str, Any]:
    try:
        content = read_object(file)
        checked_text(content["image"]["file_name"])
        stated_size(content["image"])
        sound = []
        for place, annotation in enumerate(content["annotations"], start=1):
            if not isinstance(annotation, dict) or not isinstance(annotation.get("segmentation"), dict | list):
                left_out.add(DataError(f"{file} is not sound SA-1B JSON: annotation {place} has no run lengths"))
                continue
            sound.append(annotation)
        content["annotations"] = sound
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = reason_of(error)
        raise DataError(
            f"{file} is not sound SA-1B JSON with image and annotations: {reason}; export it again"
        ) from error
    return content


def _files(root: Path) -> list[Path]:
    files = [file for pattern in ("*.json", "*/*.json") for file in sorted(root.glob(pattern))]
    return [file for file in files if not file.name.startswith(".")]


def _is_root(root: Path) -> bool:
    looked_at = _files(root)[:_LOOKED_AT]
    others = any(looks_like_coco(file, (key,)) for file in looked_at for key in _OTHERS)
    # A file of an image without masks has no segmentation.
    return any(looks_like_coco(file, (*_KEYS, "segmentation")) for file in looked_at) and not others


register(
    Importer(
        name="sa1b",
        summary="SA-1B: a JSON file of run lengths for each image, without categories",
        expected="images, and for each a JSON file with image and annotations",
        is_root=_is_root,
        find=find_sa1b,
    )
)
