"""Find the images that a file of annotations names, and read their sizes without decoding their pixels."""

from collections.abc import Callable, Mapping
from pathlib import Path

from naslora_core.data.dataset.image_files.facts import read_facts
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import one_form, walk_files
from naslora_core.errors import DataError


def index_images(root: Path, key: Callable[[Path], str] = lambda path: one_form(path.name)) -> dict[str, list[Path]]:
    """Return all image files within a folder by their names in one Unicode form, or what else `key` makes of them."""
    images: dict[str, list[Path]] = {}
    for path in walk_files(root):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            images.setdefault(key(path), []).append(path)
    return images


def locate_image(written: Path, file: Path, images: Mapping[str, list[Path]], root: Path) -> Path | None:
    """Return the image that `file` calls `written`; None if there is none.

    It lies beside the file, in images/, in a folder named as the split, or anywhere in `root` under one name only.

    Raises:
        DataError: if it could be several.
    """
    folder = file.stem.split("_")[-1]
    for place in (file.parent, root, root / "images", root / folder, root / "images" / folder):
        path = one_form(str(place / written))
        # Only what the search found is taken, which lies within the folder whatever the name says.
        if same := [found for found in images.get(one_form(written.name), ()) if one_form(str(found)) == path]:
            return same[0]
    same = images.get(one_form(written.name), [])
    if len(same) > 1:
        raise DataError(
            f"{file}: '{written}' could be {same[0]} or {same[1]}; give images folders as the file names them"
        )
    return same[0] if same else None


def upright_size(path: Path) -> tuple[int, int]:
    """Return (H, W) of an image file as it is shown, its EXIF orientation applied.

    Raises:
        DataError: if it is missing, or not an image.
    """
    return read_facts(path).size
