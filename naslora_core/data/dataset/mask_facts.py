"""Measure the stored values of one mask file; imported by worker processes, so it imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image

from naslora_core.data.dataset.image_files.pixels import (
    ALPHA_THRESHOLD,
    is_grey,
    is_shown_inverted,
    load_picture,
    to_alpha,
    to_colours,
    to_indices,
    to_mask_values,
)
from naslora_core.errors import DataError

# One channel, indices into a palette, or colours.
Form = Literal["grey", "palette", "colours"]
# A mask of more colours is a photograph, whichever they are.
MOST_COLOURS = 1024
# What is nearer to black or white than this counts as an end of the scale.
END = 32
IGNORED = 255
# The largest difference among neighbours that compression leaves in a region of one value; an edge has more.
_NOISE = 32
_PNG_HEADER, _WEBP_HEADER = 26, 1 << 12
_COMPRESSION, _TIFF_JPEG = 259, (6, 7)


@dataclass(frozen=True)
class Alpha:
    """The transparency of a file.

    Attributes:
        opaque_px: pixels that are opaque by half or more.
        clear_px: all others.
        differing_px: pixels that are opaque and black or 0, or clear and of another colour.
    """

    opaque_px: int
    clear_px: int
    differing_px: int


@dataclass(frozen=True)
class MaskFacts:
    """What one mask file holds.

    Attributes:
        path: the file.
        problem: why it cannot be read; "" if it can, and if not, all below is empty.
        is_refused: it opens, but has values that no dataset can hold, which nothing after the import would notice.
        form: what its numbers are.
        values: ascending levels, palette indices, or colours 0xRRGGBB; of a photograph only some.
        pixels: how many of each.
        total_px: of the file, which are more than `pixels` of a photograph.
        palette: by index that occurs, its colour 0xRRGGBB.
        is_lossy: it is compressed so that values change.
        is_inverted: see `pixels.is_shown_inverted`.
        is_photograph: it has more than `MOST_COLOURS` colours.
        alpha: None if it has no transparency.
        runs: stretches of one value in the rows, of what is not 0.
        between_px: pixels between the ends of 0..255; of them `flat_px` have about the value of all their neighbours.
        ring: how often a pixel of 1..254 has a neighbour of 0, and one of 255, where it has 255.
    """

    path: Path
    problem: str = ""
    is_refused: bool = False
    form: Form = "grey"
    values: tuple[int, ...] = ()
    pixels: tuple[int, ...] = ()
    total_px: int = 0
    palette: tuple[tuple[int, int], ...] = ()
    is_lossy: bool = False
    is_inverted: bool = False
    is_photograph: bool = False
    alpha: Alpha | None = None
    runs: int = 0
    between_px: int = 0
    flat_px: int = 0
    ring: tuple[int, int] = (0, 0)


def measure_mask(path: Path) -> MaskFacts:
    """Measure one file; what is wrong with it is among the facts."""
    is_open = False
    try:
        picture = load_picture(path)
        is_open = True
        if picture.mode in ("RGB", "RGBA", "LA") and _is_deep(picture, path):
            raise DataError(f"{path} has several channels of 16 bits; write the mask with 8 bits, or in one channel")
        return _measure(picture, path)
    except DataError as error:
        return MaskFacts(path, str(error), is_refused=is_open)


def _measure(picture: Image.Image, path: Path) -> MaskFacts:
    form, array = _stored(picture, path)
    is_lossy = _is_lossy(picture, path)
    if form != "colours" and array.dtype == np.uint8:
        counts = np.rint(cv2.calcHist([array], [0], None, [256], [0, 256]).ravel()).astype(np.int64)
        values = np.flatnonzero(counts)
        pixels, runs = counts[values], 0
        if len(values) > 2 and not is_lossy:
            runs = int(np.count_nonzero((array[:, 1:] != array[:, :-1]) & (array[:, 1:] > 0)))
    else:
        values, pixels, runs = _count_runs(array)
    facts: dict[str, Any] = {
        "total_px": array.size,
        "is_lossy": is_lossy,
        "is_inverted": is_shown_inverted(picture),
        "is_photograph": form == "colours" and len(values) > MOST_COLOURS,
        "alpha": _alpha(picture, path, array),
        "runs": runs,
    }
    if form == "palette":
        colours = _palette(picture)
        facts["palette"] = tuple((value, colours[value]) for value in values.tolist())
        if all(colour == value * 0x010101 for value, colour in facts["palette"]):
            # Its colours are the levels of grey that its indices are.
            form, facts["palette"] = "grey", ()
    if form == "grey" and array.dtype == np.uint8 and len(values) > 2:
        facts["between_px"], facts["flat_px"] = _between(array, counts)
    if form != "colours" and array.dtype == np.uint8 and len(values) > 2 and values[-1] == IGNORED and values[-2] < 128:
        facts["ring"] = _ring(array)
    if facts["is_photograph"]:
        most = np.sort(np.argsort(-pixels, kind="stable")[:MOST_COLOURS])
        values, pixels = values[most], pixels[most]
    return MaskFacts(path, "", False, form, tuple(values.tolist()), tuple(pixels.tolist()), **facts)


def _stored(picture: Image.Image, path: Path) -> tuple[Form, np.ndarray]:
    if picture.mode == "P":
        return "palette", to_indices(picture, path)
    if len(picture.getbands()) - ("A" in picture.getbands()) == 1:
        values = to_mask_values(picture, path)
        if values.dtype.kind == "f":
            if not np.array_equal(values, values.astype(np.int64)):
                raise DataError(
                    f"{path} has values that are not whole numbers; cut them at the value that divides objects from "
                    "background, and write masks of 8 bits"
                )
            values = values.astype(np.int64)
        if values.size and int(values.min()) < 0:
            raise DataError(f"{path} has negative values, down to {values.min()}; write them anew as 0 or 255")
        return "grey", values
    if is_grey(picture):
        return "grey", to_mask_values(picture, path)
    return "colours", to_colours(picture)


def _count_runs(array: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the values that occur, their pixels, and the runs of values other than 0."""
    flat = array.ravel()
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    # Masks have long runs, which are sorted many times as fast as pixels.
    of_runs = flat[starts].astype(np.int64)
    values, places = np.unique(of_runs, return_inverse=True)
    pixels = np.bincount(places, weights=np.diff(np.append(starts, flat.size)), minlength=len(values))
    return values, pixels.astype(np.int64), int(np.count_nonzero(of_runs))


def _palette(picture: Image.Image) -> list[int]:
    table = np.zeros(768, np.uint8)
    found = picture.getpalette("RGB") or []
    table[: len(found)] = found[:768]
    red, green, blue = table.reshape(256, 3).T.astype(int)
    colours: list[int] = ((red << 16) | (green << 8) | blue).tolist()
    return colours


def _alpha(picture: Image.Image, path: Path, array: np.ndarray) -> Alpha | None:
    if "A" not in picture.getbands():
        return None
    opaque = to_alpha(picture, path) >= ALPHA_THRESHOLD
    count = int(np.count_nonzero(opaque))
    return Alpha(count, opaque.size - count, int(np.count_nonzero(opaque != (array > 0))))


def _between(levels: np.ndarray, counts: np.ndarray) -> tuple[int, int]:
    between = int(counts[END : 256 - END].sum())
    if not between:
        return 0, 0
    # OpenCV compares bytes many times as fast as NumPy combines masks.
    spread = cv2.morphologyEx(levels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    flat = cv2.bitwise_and(cv2.inRange(levels, END, 255 - END), cv2.inRange(spread, 0, _NOISE))
    return between, cv2.countNonZero(flat)


def _ring(levels: np.ndarray) -> tuple[int, int]:
    to_background = to_ignored = 0
    for first, second in ((levels[:, 1:], levels[:, :-1]), (levels[1:], levels[:-1])):
        # One of the two is an object where neither both are ends nor both are equal.
        for one, other in ((first, second), (second, first)):
            is_object = (one > 0) & (one < IGNORED)
            to_background += int(np.count_nonzero(is_object & (other == 0)))
            to_ignored += int(np.count_nonzero(is_object & (other == IGNORED)))
    return to_background, to_ignored


def _is_lossy(picture: Image.Image, path: Path) -> bool:
    """Return whether a file is compressed so that values change."""
    if picture.format == "WEBP":
        with path.open("rb") as file:
            return b"VP8L" not in file.read(_WEBP_HEADER)
    tags = getattr(picture, "tag_v2", None) or {}
    return picture.format in ("JPEG", "MPO") or tags.get(_COMPRESSION) in _TIFF_JPEG


def _is_deep(picture: Image.Image, path: Path) -> bool:
    """Return whether a file has 16 bits a channel, of which Pillow has dropped the lower ones."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            return file.read(_PNG_HEADER)[24:25] == b"\x10"
    tags = getattr(picture, "tag_v2", None) or {}
    return max(tags.get(258) or (8,)) > 8
