"""Find out from the areas that a file states whether its outlines run through pixel centres or along pixel edges."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from naslora_core.data.importers.painting.shapes import Outline
from naslora_core.data.importers.shared.coco_file import polygons_of, stated_area

# Of all differences between stated and expected areas, the share that the better convention may have of the worse.
_CLEAR = 1 / 3
# Areas that differ less were computed from the corners, which says nothing on which pixels were meant.
_SAME = 0.01


@dataclass(frozen=True)
class OutlineChoice:
    """How to paint outlines, and what to tell the user of it; `note` is "" where nothing speaks against it."""

    outline: Outline
    note: str = ""


def choose_outline(annotations: Iterable[Mapping[str, Any]], wanted: Outline | None) -> OutlineChoice:
    """Return what the user wants, or what the areas of all annotations fit, or else `edges`, as pycocotools paints.

    A polygon of area A whose lines have P pixels covers about A pixels between edges, and A + P / 2 + 1 pixels if its
    corners are pixels (Pick's theorem).
    """
    if wanted:
        return OutlineChoice(wanted)
    outlines = [(rings, stated_area(annotation)) for annotation in annotations if (rings := _rings(annotation))]
    if not outlines:
        return OutlineChoice("edges")
    corners = np.concatenate([ring for rings, _ in outlines for ring in rings])
    whole = np.array_equal(corners, np.rint(corners))
    of_ring = np.array([len(ring) for rings, _ in outlines for ring in rings])
    of_object = np.cumsum([0] + [len(rings) for rings, _ in outlines[:-1]])
    between, through = (np.add.reduceat(px, of_object) for px in _expected_px(corners, of_ring))
    stated = np.array([np.nan if area is None else area for _, area in outlines])
    known = np.isfinite(stated)
    objects = int(np.count_nonzero(known))
    from_corners = int(np.count_nonzero(np.abs(between - stated)[known] <= _SAME))
    edges, centres = (float(np.abs(px - stated)[known].sum()) for px in (between, through))
    if objects and centres <= _CLEAR * edges:
        return OutlineChoice(
            "centres",
            f"the areas that the file states for {objects} objects show that the corners of outlines are pixels, as "
            "OpenCV's contours have it: painted so (--outline edges: as pycocotools paints)",
        )
    if objects and edges <= _CLEAR * centres and from_corners < 0.9 * objects:
        return OutlineChoice("edges")
    note = (
        "the corners of all outlines are whole numbers, and no area in the file tells what they mean: painted as "
        "pycocotools does, between them. If a program drew them around masks (OpenCV's contours), objects lost a row "
        "and a column: import again with --outline centres"
    )
    return OutlineChoice("edges", note if whole else "")


def _rings(annotation: Mapping[str, Any]) -> list[np.ndarray] | None:
    """Return the polygons; None for run lengths, for none at all, and for what painting will refuse."""
    try:
        rings = [np.asarray(polygon, dtype=float).reshape(-1, 2) for polygon in polygons_of(annotation)]
    except (ValueError, TypeError, OverflowError):
        return None
    return rings if rings and all(np.isfinite(ring).all() for ring in rings) else None


def _expected_px(corners: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many pixels each polygon has with its corners between pixels, and with its corners being pixels.

    Args:
        corners: (N, 2) x and y of all polygons, one after another.
        lengths: (P,) how many corners each has, at least one.
    """
    first = np.cumsum(lengths) - lengths
    following = np.arange(1, len(corners) + 1)
    following[first + lengths - 1] = first
    # From the first corner on, or large coordinates would cost digits.
    x, y = (corners - np.repeat(corners[first], lengths, axis=0)).T
    areas = np.abs(np.add.reduceat(x * y[following] - y * x[following], first)) / 2
    lines_px = np.add.reduceat(np.abs(corners[following] - corners).max(axis=1), first)
    return areas, areas + lines_px / 2 + 1
