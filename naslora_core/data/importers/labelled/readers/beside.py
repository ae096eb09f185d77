"""Find the images of a layout that has a file of labels beside each, and join both into pairs."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.importers.base import Source
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import ObjectMask

# "." is the folder of the data set itself.
IMAGES_FOLDERS = ("images", ".")


def images_of(root: Path) -> dict[str, Path]:
    """Return the images by name: those in images/, or else those in the folder itself, maybe none.

    Raises:
        DataError: as `list_images`.
    """
    return next((found for name in IMAGES_FOLDERS if (found := list_images(root / name))), {})


def painted_pairs(
    images: Mapping[str, Path],
    files: Mapping[str, Path],
    readable: Collection[str],
    mask_of: Callable[[Path, Path], ObjectMask],
    left_out: LeftOut,
) -> list[Source]:
    """Return a source for each image, without a mask where it has no file; those of unreadable files are left out.

    Args:
        images: by name.
        files: of labels, by the name of their image.
        readable: names whose file could be read.
        mask_of: makes the mask of an image from its file.
        left_out: takes the errors of single images.
    """

    def made(name: str) -> Source:
        file = files.get(name)
        return Source(name, images[name], None if file is None else mask_of(images[name], file))

    return list(left_out.read_each(made, (name for name in images if name in readable or name not in files)))
