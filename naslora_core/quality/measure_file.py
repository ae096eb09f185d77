"""Measure one image or mask file; imported by worker processes, so it imports nothing heavy."""

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image

from naslora_core.data.dataset.card import IGNORED_ID, DatasetCard
from naslora_core.data.dataset.duplicates import image_signature
from naslora_core.data.dataset.encoding import decode_picture
from naslora_core.data.dataset.ignored import is_foreground
from naslora_core.data.dataset.image_files.images import open_image
from naslora_core.data.dataset.image_files.pixels import (
    check_integrity,
    is_grey,
    is_shown_inverted,
    load_picture,
    orientation,
    to_alpha,
    to_colours,
    to_indices,
    to_mask_values,
)
from naslora_core.data.dataset.mask_looks import mask_look
from naslora_core.errors import DataError, few
from naslora_core.quality.scale.vanished import count_vanished
from naslora_core.quality.scale.widths import object_widths, pack_widths

Kind = Literal["image", "mask"]
OK, MISSING, UNREADABLE = "ok", "missing", "unreadable"
_NEARLY_BLACK, _NEARLY_WHITE = 2, 253
# Masks have few values, photographs many: those of Kvasir-SEG have 1.5 bits at most, its images 5.9 at least.
_PHOTOGRAPH_BITS, _COLOUR_PHOTOGRAPH_BITS = 5.0, 3.0
_COLOURED_SHARE, _COLOUR_STEP = 0.1, 8


def measure_file(job: tuple[Kind, Path], card: DatasetCard, input_px: int | None = None) -> dict[str, Any]:
    """Measure one file: return the columns of `quality.table` that its bytes determine.

    Args:
        job: whether it is an image or a mask, and where it lies.
        card: how masks are encoded.
        input_px: side of the model's input, at which objects may vanish; None does not look for those.
    """
    kind, path = job
    return measure_image(path, card) if kind == "image" else measure_mask(path, card, input_px)


def measure_image(path: Path, card: DatasetCard) -> dict[str, Any]:
    """Measure an image file as its dataset reads it: return its columns of `quality.table`."""
    try:
        image = open_image(path, card.image, is_checked=True)
    except DataError as error:
        return {"image_state": UNREADABLE, "image_problem": _reason(error, path)}
    rgb, facts = image.rgb, image.facts
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    histogram = _histogram(gray) / gray.size
    brightness, contrast = cv2.meanStdDev(gray)
    bits, thumbnail = image_signature(gray)
    return {
        "image_state": OK,
        "image_problem": "",
        **_header("image", facts.format, facts.mode, facts.bands, facts.bits, facts.orientation, rgb.shape[:2]),
        "shorter_side_px": min(gray.shape),
        "brightness": float(brightness[0, 0]),
        "contrast": float(contrast[0, 0]),
        # Of one channel alone: the mean of three at once takes several times as long.
        "saturation": cv2.mean(cv2.extractChannel(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV), 1))[0] / 255,
        "sharpness": float(cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))[1][0, 0] ** 2),
        "clipped_dark": float(histogram[: _NEARLY_BLACK + 1].sum()),
        "clipped_bright": float(histogram[_NEARLY_WHITE:].sum()),
        "entropy_bits": _entropy(histogram),
        "constant": bool(histogram.max() == 1 and (rgb == rgb[0, 0]).all()),
        "perceptual_hash": f"{bits:016x}",
        "thumbnail": thumbnail,
    }


def measure_mask(path: Path, card: DatasetCard, input_px: int | None = None) -> dict[str, Any]:
    """Measure a mask file by its dataset's encoding: return its columns of `quality.table`."""
    try:
        picture = load_picture(path)
        check_integrity(picture, path)
        channels = len(picture.getbands())
        is_of_numbers = card.reading in ("values", "instances")
        if is_of_numbers and (picture.mode == "LA" or (channels > 1 and is_grey(picture))):
            # Programs that know colours only write a number three times.
            channels = 1
        values = _stored(picture, path, card, is_of_numbers and channels == 1)
        found = {"mask_state": OK, "mask_problem": "", **_picture_header("mask", picture, values.shape)}
        found["mask_channels"] = channels
        # An alpha channel is that of the photograph itself, and numbers of objects are as many as its levels.
        as_usual = card.reading not in ("alpha", "instances")
        histogram = _histogram(values) if values.dtype == np.uint8 else None
        # Levels of grey that are stored as such need not be counted twice.
        gray = histogram if picture.mode == "L" and not is_shown_inverted(picture) else None
        found["mask_is_photograph"] = as_usual and _is_photograph(picture, gray)
        found["mask_values"] = len(np.unique(values)) if histogram is None else int(np.count_nonzero(histogram))
        if is_of_numbers and channels > 1:
            return found
        decoded = decode_picture(picture, path, card)
    except DataError as error:
        return {"mask_state": UNREADABLE, "mask_problem": _reason(error, path)}
    if card.mask_threshold is not None:
        found["grey_share"] = _grey_share(values, histogram, card)
    if decoded.unknown:
        found["unknown_values"] = few(decoded.unknown)
    return found | {"unknown_values": found.get("unknown_values", "")} | _shapes(decoded.ids, card, input_px)


def _stored(picture: Image.Image, path: Path, card: DatasetCard, is_of_numbers: bool) -> np.ndarray:
    """Return the numbers of a mask that its reading looks at, (H, W)."""
    if card.reading == "alpha":
        return to_alpha(picture, path)
    if card.reading == "colours":
        return to_colours(picture)
    return to_indices(picture, path) if is_of_numbers else to_mask_values(picture, path)


def _grey_share(levels: np.ndarray, histogram: np.ndarray | None, card: DatasetCard) -> float:
    """Return the share of pixels that are neither 0 nor the largest level, nor one that nobody labelled."""
    if histogram is not None and not card.mask_ignore:
        between = histogram[1 : np.flatnonzero(histogram)[-1]]
        return float(between.sum()) / levels.size
    kept = levels[~np.isin(levels, card.mask_ignore)] if card.mask_ignore else levels
    return np.count_nonzero((kept != 0) & (kept != kept.max(initial=0))) / levels.size


def share_column(name: str) -> str:
    """Return the column that holds the share of a class in a mask."""
    return f"share_{name}"


def presence_column(name: str) -> str:
    """Return the column that is 1 where a mask has a class and 0 where not."""
    return f"has_{name}"


def objects_column(name: str) -> str:
    """Return the column that counts the objects of a class in a mask: its connected regions."""
    return f"objects_{name}"


def vanished_column(name: str) -> str:
    """Return the column that counts those of them that have no pixel left at the model's input size."""
    return f"vanished_{name}"


def widths_column(name: str) -> str:
    """Return the column that has the widths of the objects of a class in a mask, see `quality.scale.widths`."""
    return f"widths_{name}"


def _picture_header(kind: str, picture: Image.Image, size: tuple[int, ...]) -> dict[str, Any]:
    bits = 16 if "16" in picture.mode else {"1": 1, "I": 32, "F": 32}.get(picture.mode, 8)
    return _header(kind, picture.format, picture.mode, len(picture.getbands()), bits, orientation(picture), size)


def _header(
    kind: str, name: str | None, mode: str, channels: int, bits: int, turn: int, size: tuple[int, ...]
) -> dict[str, Any]:
    height, width = size
    return {
        f"{kind}_format": name,
        f"{kind}_mode": mode,
        f"{kind}_channels": channels,
        f"{kind}_bits": bits,
        f"{kind}_orientation": turn,
        f"{kind}_width": width,
        f"{kind}_height": height,
        f"{kind}_size": f"{width}x{height}",
    }


def _shapes(ids: np.ndarray, card: DatasetCard, input_px: int | None) -> dict[str, Any]:
    histogram = _histogram_of_ids(ids)
    counts, ignored = histogram[: len(card.classes) + 1], float(histogram[IGNORED_ID] / ids.size)
    if ignored == 1:
        return {"ignored_share": ignored, "nothing_labelled": True}
    labelled = ids.size - histogram[IGNORED_ID]
    shares = {share_column(name): float(counts[k] / labelled) for k, name in enumerate(card.classes, start=1)}
    shares |= {presence_column(name): float(counts[k] > 0) for k, name in enumerate(card.classes, start=1)}
    objects = dict.fromkeys(map(objects_column, card.classes), 0)
    vanished = dict.fromkeys(map(vanished_column, card.classes), None if input_px is None else 0)
    widths = dict.fromkeys(map(widths_column, card.classes), "")
    components, smallest = 0, None
    for number in np.flatnonzero(counts[1:]) + 1:
        of_class = (ids == number).view(np.uint8)
        # Around the objects alone: searching an empty part takes as long as a full one.
        left, top, width, height = cv2.boundingRect(of_class)
        inside = np.ascontiguousarray(of_class[top : top + height, left : left + width])
        count, regions, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
        areas = stats[1:, cv2.CC_STAT_AREA]
        least = int(areas.min())
        components, smallest = components + count - 1, least if smallest is None else min(smallest, least)
        name = card.classes[number - 1]
        objects[objects_column(name)] = count - 1
        widths[widths_column(name)] = pack_widths(object_widths(regions, stats), areas)
        if input_px is not None:
            vanished[vanished_column(name)] = count_vanished(regions, (top, left), ids.shape, count, input_px)
    foreground = float(1 - counts[0] / labelled)
    return {
        "ignored_share": ignored,
        "nothing_labelled": False,
        "foreground_share": foreground,
        "object_share": foreground or None,
        "is_empty": foreground == 0,
        "components": components,
        "smallest_component_px": smallest,
        "touches_border": bool(is_foreground(ids[[0, -1]]).any() or is_foreground(ids[:, [0, -1]]).any()),
        "covers_image": float(labelled > 0 and counts[1:].max() == labelled),
        "mask_look": mask_look(ids, len(card.classes)),
        **shares,
        **objects,
        **vanished,
        **widths,
    }


def _is_photograph(picture: Image.Image, histogram: np.ndarray | None) -> bool:
    """Return whether a mask has the values of a photograph; `histogram` is that of its levels of grey, if known."""
    if picture.mode in ("1", "P"):
        return False
    if histogram is None:
        histogram = _histogram(np.asarray(picture.convert("L")))
    bits = _entropy(histogram / histogram.sum())
    if bits <= _COLOUR_PHOTOGRAPH_BITS or len(picture.getbands()) < 3:
        return bits > _PHOTOGRAPH_BITS
    rgb = np.asarray(picture.convert("RGB"))
    coloured = float(np.mean(rgb.max(axis=2) - rgb.min(axis=2) > _COLOUR_STEP))
    return bits > _PHOTOGRAPH_BITS or coloured > _COLOURED_SHARE


def _histogram_of_ids(ids: np.ndarray) -> np.ndarray:
    """Return `_histogram` of class ids, many times as fast where there is one class."""
    if ids.max(initial=0) > 1:
        return _histogram(ids)
    marked = np.count_nonzero(ids)
    histogram = np.zeros(256)
    histogram[:2] = ids.size - marked, marked
    return histogram


def _histogram(values: np.ndarray) -> np.ndarray:
    """Return how often each of 0..255 is in (H, W) uint8; (256,) float64."""
    # OpenCV counts in float32, which is exact up to 2**24 pixels only.
    if values.size >= 1 << 24:
        return np.bincount(values.ravel(), minlength=256).astype(np.float64)
    return cv2.calcHist([values], [0], None, [256], [0, 256]).ravel().astype(np.float64)


def _entropy(histogram: np.ndarray) -> float:
    shares = histogram[histogram > 0]
    return float(-(shares * np.log2(shares)).sum())


def _reason(error: DataError, path: Path) -> str:
    return str(error).removeprefix(f"{path} ").removesuffix("; replace the file")
