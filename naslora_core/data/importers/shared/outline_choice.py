"""Find out from the areas that a file states whether its outlines run through pixel centres or along pixel edges."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from naslora_core.data.importers.shared.coco_file import polygons_of, stated_area
from naslora_core.data.importers.shared.shapes import Outline

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
    edges = centres = 0.0
    outlines = objects = from_corners = 0
    whole = True
    for annotation in annotations:
        rings = _rings(annotation)
        if rings is None:
            continue
        outlines += 1
        whole = whole and all(np.array_equal(ring, np.rint(ring)) for ring in rings)
        if (area := stated_area(annotation)) is not None:
            between, through = (sum(parts) for parts in zip(*map(_expected_px, rings), strict=True))
            objects += 1
            from_corners += abs(between - area) <= _SAME
            edges += abs(between - area)
            centres += abs(through - area)
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
    return OutlineChoice("edges", note if outlines and whole else "")


def _rings(annotation: Mapping[str, Any]) -> list[np.ndarray] | None:
    """Return the polygons; None for run lengths, for none at all, and for what painting will refuse."""
    try:
        rings = [np.asarray(polygon, dtype=float).reshape(-1, 2) for polygon in polygons_of(annotation)]
    except (ValueError, TypeError, OverflowError):
        return None
    return rings if rings and all(np.isfinite(ring).all() for ring in rings) else None


def _expected_px(ring: np.ndarray) -> tuple[float, float]:
    following = np.roll(ring, -1, axis=0)
    # From the first corner on, or large coordinates would cost digits.
    (x, y), (x2, y2) = (ring - ring[0]).T, (following - ring[0]).T
    area = abs(float(x @ y2 - y @ x2)) / 2
    return area, area + float(np.abs(following - ring).max(axis=1).sum()) / 2 + 1
