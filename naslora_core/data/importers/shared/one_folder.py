"""Pair images with masks that lie in the same folder, or that are the alpha channel of the images themselves."""

from pathlib import Path

from PIL import Image

from naslora_core.data.dataset.image_files.pixels import FORMATS, IMAGE_SUFFIXES
from naslora_core.data.importers.base import Source
from naslora_core.errors import DataError

# What the name of a mask has more than that of its image.
MASK_ENDINGS = (
    "_mask", "-mask", ".mask", "_masks", "_segmentation", "_seg", "_gt", "_label", "_labels", "_anno",
)  # fmt: skip
# Cameras write the ones, programs that draw masks the others.
_OF_CAMERAS, _OF_MASKS = frozenset({".jpg", ".jpeg"}), frozenset({".png", ".bmp", ".tif", ".tiff"})
_LOOKED_AT = 8


def pair_one_folder(folder: Path) -> tuple[Source, ...]:
    """Pair the files of a folder: `x.jpg` with `x_mask.png` (or another ending), or `x.jpg` with `x.png`.

    Returns:
        The pairs, and the images and masks without a partner; nothing if no two files belong together.

    Raises:
        DataError: if a mask or image of a name is there twice.
    """
    files = _files(folder)
    endings = [(sum(_without(path, ending) in _stems(files) for path in files), ending) for ending in MASK_ENDINGS]
    count, ending = max(endings, key=lambda entry: entry[0])
    if count:
        masks = [path for path in files if _without(path, ending) is not None]
        named = {str(_without(path, ending)): path for path in masks}
        images = {path.stem: path for path in files if path not in masks}
        _check_unique(folder, masks, named)
        _check_unique(folder, [path for path in files if path not in masks], images)
    else:
        images = {path.stem: path for path in files if path.suffix.lower() in _OF_CAMERAS}
        named = {path.stem: path for path in files if path.suffix.lower() in _OF_MASKS}
        if not images.keys() & named.keys():
            return ()
        _check_unique(folder, files, {**images, **{f"{name}/": path for name, path in named.items()}})
    names = sorted(images.keys() | named.keys())
    return tuple(Source(name, images.get(name), named.get(name)) for name in names)


def images_with_alpha(folder: Path) -> tuple[Source, ...]:
    """Return the images of a folder, each its own mask, if the first few have an alpha channel; else nothing."""
    files = _files(folder)
    if not files or not all(_has_alpha(path) for path in files[:_LOOKED_AT]):
        return ()
    images = {path.stem: path for path in files}
    _check_unique(folder, files, images)
    return tuple(Source(name, path, path) for name, path in sorted(images.items()))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in inside if path.suffix.lower() in IMAGE_SUFFIXES and path.name.isprintable()]


def _stems(files: list[Path]) -> set[str | None]:
    return {path.stem for path in files}


def _without(path: Path, ending: str) -> str | None:
    """Return the name without extension and ending; None if it has not the ending."""
    return path.stem[: -len(ending)] if path.stem.lower().endswith(ending) else None


def _check_unique(folder: Path, files: list[Path], kept: dict[str, Path]) -> None:
    if len(kept) < len(files):
        extra = next(path for path in files if path not in kept.values())
        raise DataError(
            f"{folder} holds {extra.name} and another file of that name; images and masks are paired by their name "
            "without extension, so rename or remove one"
        )


def _has_alpha(path: Path) -> bool:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return "A" in picture.getbands()
    except Exception:  # Damaged files make decoders raise almost anything; the gate reports them.
        return False
