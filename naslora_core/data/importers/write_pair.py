"""Write one pair of an import: files byte for byte, pixels and painted masks as PNG."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER
from naslora_core.data.dataset.encoding import decode_mask
from naslora_core.data.dataset.image_files.images import open_image
from naslora_core.data.importers.base import ImportRequest, Pixels, Source
from naslora_core.data.importers.painting.encode_masks import write_encoded
from naslora_core.data.importers.painting.mask_files import write_ids
from naslora_core.data.importers.painting.objects import ObjectMask
from naslora_core.data.importers.painting.paint_report import PaintReport
from naslora_core.errors import DataError, few


def write_pair(
    source: Source,
    folder: Path,
    request: ImportRequest,
    card: DatasetCard,
    encode: bool = False,
    report: PaintReport | None = None,
) -> bool:
    """Write the image and the mask of a source into images/ and masks/ of a folder.

    Args:
        source: what to write.
        folder: the new dataset.
        request: whether an image without a mask shows no object, and what becomes of a pair that is odd.
        card: says how an empty mask is written.
        report: counts what becomes of the objects that a mask is painted from.
        encode: write painted masks by the card too; else their class ids are what is stored.

    Returns:
        Whether it was written; a pair is left out if a file of it cannot be read or both differ in size, where odd ones
        are to be left out.

    Raises:
        DataError: if a mask cannot be painted, and nothing is to be left out.
    """
    mask_file = folder / MASKS_FOLDER / f"{source.name}.png"
    try:
        if request.left_out.skip:
            _check(source, card)
        write_pixels(source.image, folder / IMAGES_FOLDER, source.name, is_mask=False)
        if source.mask is None and source.image is not None and request.bare_is_empty:
            write_encoded(np.zeros(_size(source.image, card), np.uint8), card, mask_file)
        elif encode and callable(source.mask):
            write_encoded(source.mask(), card, mask_file)
        else:
            write_pixels(painted(source, request, report), folder / MASKS_FOLDER, source.name, is_mask=True)
    except DataError as error:
        request.left_out.add(error)
        for kind in (IMAGES_FOLDER, MASKS_FOLDER):
            # The names of files that were written; others may begin alike.
            for path in (folder / kind).iterdir():
                if path.stem == source.name:
                    path.unlink()
        return False
    return True


def painted(source: Source, request: ImportRequest, report: PaintReport | None) -> Pixels | None:
    """Return the mask of a source; one that is made of objects is painted now and counted, without odd objects."""
    if not isinstance(source.mask, ObjectMask):
        return source.mask
    painting = replace(source.mask, left_out=request.left_out).paint()
    if report is not None:
        report.add(source.name, painting)
    return lambda: painting.ids


def _check(source: Source, card: DatasetCard) -> None:
    """Raise DataError if a file cannot be read, a mask has an unknown value, or both differ in size."""
    image = _size(source.image, card) if source.image is not None else None
    if image is None or not isinstance(source.mask, Path):
        return
    decoded = decode_mask(source.mask, card)
    if decoded.unknown:
        raise DataError(f"{source.mask} has {few(decoded.unknown)}, which no class has")
    height, width = decoded.ids.shape
    if (height, width) != image:
        raise DataError(f"{source.mask} is {width}x{height} px, its image is {image[1]}x{image[0]} px")


def _size(image: Pixels, card: DatasetCard) -> tuple[int, int]:
    """Return (H, W) of an image, upright, after decoding all of it."""
    pixels = open_image(image, card.image, is_checked=True).rgb if isinstance(image, Path) else image()
    height, width = pixels.shape[:2]
    return height, width


def write_pixels(pixels: Pixels | None, folder: Path, name: str, is_mask: bool) -> None:
    """Write an image or a mask under its new name, a file byte for byte; None writes nothing.

    Raises:
        DataError: if there is no such file.
    """
    if isinstance(pixels, Path):
        if not pixels.is_file():
            what = "is a folder or a device" if pixels.exists() else "leads nowhere"
            raise DataError(f"{pixels} {what}, and has the name of an image; replace or remove it, or --skip-bad")
        shutil.copyfile(pixels, folder / f"{name}{pixels.suffix.lower()}")
    elif pixels is not None and is_mask:
        write_ids(pixels(), folder / f"{name}.png")
    elif pixels is not None:
        Image.fromarray(pixels()).save(folder / f"{name}.png")
