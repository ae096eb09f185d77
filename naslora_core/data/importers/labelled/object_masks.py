"""One mask file an object, as in the Data Science Bowl 2018: <id>/images/<id>.png and <id>/masks/*.png.

Layout: Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl", Nature Methods
2019, https://www.kaggle.com/c/data-science-bowl-2018. Images lie in folders of their own, in the dataset's folder or
in one for each split (stage1_train). All objects are of one class. A folder of masks without any says that the image
shows no object; a folder of an image without a folder of masks (stage1_test) is not labelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES, load_picture, to_indices, to_mask_values
from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register, subfolders
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.painting.shapes import Patch
from naslora_core.data.importers.shared.image_files import upright_size
from naslora_core.data.importers.shared.object_formats import build_found, split_from_path
from naslora_core.errors import DataError, few

IMAGES, MASKS = "images", "masks"


@dataclass(frozen=True)
class ObjectFile:
    """The file of one object, which is a shape."""

    file: Path

    def paint(self, height: int, width: int) -> Patch:
        """Read the file.

        Raises:
            DataError: if it cannot be read, has another size than the image, or shows more than an object.
        """
        return Patch(0, 0, read_object_mask(self.file, (height, width)))


@dataclass(frozen=True)
class ObjectFiles:
    """The objects of one image."""

    files: tuple[Path, ...]

    def __call__(self) -> Sequence[AnnotatedObject]:
        """Return an object for each file, which is read when it is painted."""
        return [AnnotatedObject(file.name, 1, ObjectFile(file)) for file in self.files]


def read_object_mask(file: Path, size: tuple[int, int]) -> np.ndarray:
    """Return where the object of a mask file is, (H, W) bool.

    Raises:
        DataError: if it cannot be read, is of another size (H, W), or has more than one value beside the background.
    """
    picture = load_picture(file)
    values = to_indices(picture, file) if picture.mode == "P" else to_mask_values(picture, file)
    if values.shape != size:
        raise DataError(
            f"{file} is {values.shape[1]}x{values.shape[0]} px, its image {size[1]}x{size[0]} px; replace the wrong one"
        )
    present = np.unique(values)
    others = present[present != 0]
    if len(others) > 1:
        raise DataError(
            f"{file} has the values {few(others)}; a mask of one "
            "object has one value beside 0. Give every object a file, or import the masks with layout folder"
        )
    return values != 0


def find_object_masks(request: ImportRequest) -> Found:
    """Read all folders of images and of the masks of their objects.

    Raises:
        DataError: if a folder holds no image or several.
    """
    root = request.folder
    groups = [root] if _has_cases(root) else [folder for folder in subfolders(root) if _has_cases(folder)]
    sources, unlabelled, beside = [], 0, 0
    for group in groups:
        split = None if group == root else split_from_path(Path(group.name))
        for case in subfolders(group):
            if not (case / IMAGES).is_dir():
                continue
            if not (case / MASKS).is_dir():
                unlabelled += 1
                continue
            with request.left_out.taking():
                image = _image_of(case)
                files = tuple(list_images(case / MASKS).values())
                beside += sum(not path.name.startswith(".") for path in (case / MASKS).iterdir()) - len(files)
                mask = ObjectMask(case, upright_size(image), ObjectFiles(files), "listed")
                sources.append(Source(case.name, image, mask, split))
    others = [folder for folder in subfolders(root) if folder not in groups and root not in groups]
    unlabelled += sum((case / IMAGES).is_dir() for folder in others for case in subfolders(folder))
    notes = [f"{unlabelled} images have no folder of masks and were left out"] if unlabelled else []
    notes += [f"{beside} files in folders of masks are no images and were left out"] if beside else []
    return build_found(root, sources, ("object",), "one mask file an object", tuple(notes))


def _image_of(case: Path) -> Path:
    found = list(list_images(case / IMAGES).values())
    if len(found) != 1:
        raise DataError(f"{case / IMAGES} holds {len(found)} images, expected one, called {case.name}; correct it")
    return found[0]


def _is_case(folder: Path) -> bool:
    if not (folder / MASKS).is_dir() or not (folder / IMAGES).is_dir():
        return False
    pictures = (path for path in (folder / IMAGES).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return any(one_form(path.stem) == one_form(folder.name) for path in pictures)


def _has_cases(folder: Path) -> bool:
    return any(map(_is_case, subfolders(folder)))


register(
    Importer(
        name="object_masks",
        summary="one mask file an object, as in the Data Science Bowl 2018",
        expected="folders <id>/ with images/<id>.png and masks/*.png",
        is_root=lambda folder: _has_cases(folder) or any(map(_has_cases, subfolders(folder))),
        find=find_object_masks,
    )
)
