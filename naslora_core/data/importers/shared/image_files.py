"""Find the images that a file of annotations names, and read their sizes without decoding their pixels."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

from PIL import Image

from naslora_core.data.dataset.image_files.facts import read_facts
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import one_form, walk_files
from naslora_core.errors import DataError

# Of an image, so that what says its size cannot ask for any amount of memory.
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 0


def index_images(root: Path, key: Callable[[Path], str] = lambda path: one_form(path.name)) -> dict[str, list[Path]]:
    """Return all image files within a folder by their names in one Unicode form, or what else `key` makes of them."""
    images: dict[str, list[Path]] = {}
    for path in walk_files(root):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            images.setdefault(key(path), []).append(path)
    return images


def locate_image(written: Path, file: Path, images: Mapping[str, list[Path]], root: Path) -> Path | None:
    """Return the image that `file` calls `written`; None if there is none.

    It lies beside the file, in images/, in a folder named as the split, or anywhere in `root` under one name only. A
    name that is not there is looked for once more as that of a URL: some tools write a blank as %20.

    Raises:
        DataError: if it could be several.
    """
    if one_form(written.name) not in images and (plain := Path(unquote(str(written)))) != written:
        return locate_image(plain, file, images, root)
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


def check_size(stated: tuple[int, int], image: Path, file: Path) -> None:
    """Check that `image` is of the size (H, W) that `file` states of it.

    An image that cannot be read is left to the gate, which reports it together with all others.

    Raises:
        DataError: if not: the objects were drawn on another image, or the image was resized or turned since.
    """
    try:
        facts = read_facts(image)
    except DataError:
        return
    if stated != facts.size:
        turned = f" (turned by its EXIF orientation {facts.orientation})" if facts.orientation != 1 else ""
        raise DataError(
            f"{file} was drawn on {stated[1]} x {stated[0]} px, but {image} has {facts.size[1]} x {facts.size[0]}"
            f"{turned}; give the image that was labelled"
        )


def stored_size(path: Path, tool: str) -> tuple[int, int]:
    """Return (H, W) of an image file for a tool that shows images as they are stored.

    Raises:
        DataError: if it is missing, not an image, or turned by its EXIF orientation, which the tool does not do.
    """
    facts = read_facts(path)
    if facts.orientation != 1:
        raise DataError(
            f"{path} is turned by its EXIF orientation {facts.orientation}, which {tool} does not do, so that its "
            "outlines would come in misplaced; take the orientation out of the file without turning the pixels, for "
            "example with exiftool -Orientation="
        )
    return facts.size


def upright_size(path: Path) -> tuple[int, int]:
    """Return (H, W) of an image file as it is shown, its EXIF orientation applied.

    Raises:
        DataError: if it is missing, not an image, or too large to be opened.
    """
    try:
        return checked_size(*read_facts(path).size, "its size is")
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}; cut it into pieces") from error


def checked_size(height: object, width: object, said: str = "a size is") -> tuple[int, int]:
    """Return (H, W) as a file states it; an error begins with what is `said`.

    Raises:
        ValueError: if it is not that of an image that can be read.
    """
    if type(height) is not int or type(width) is not int:
        raise ValueError(f"{said} {width!r} x {height!r}, expected two whole numbers")
    if min(height, width) < 1 or height * width > MOST_PIXELS:
        raise ValueError(f"{said} {width} x {height}, expected 1 to {MOST_PIXELS:,} pixels")
    return height, width
