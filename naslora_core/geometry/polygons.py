"""Trace masks as polygons along the edges of pixels, and write them as GeoJSON.

Coordinates are x to the right and y down, in pixels; 0, 0 is the upper left corner of the image, whole numbers are the
corners of pixels, and the middle of the pixel in row r and column c is at c + 0.5, r + 0.5.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

# Maps points (N, 2) of x and y in pixels to other coordinates.
Project = Callable[[np.ndarray], np.ndarray]

_NO_PLACE = (
    "pixels: x to the right, y down, 0, 0 is the upper left corner of the image, whole numbers are corners of pixels; "
    "there is no place on earth"
)
_PLACE = "longitude and latitude in WGS 84, as RFC 7946 asks"


def outlines(mask: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yield the polygons of a mask: the outline of a connected piece, then those of its holes.

    OpenCV joins the middles of border pixels, which makes objects a pixel smaller and lines of pixels vanish. Here
    outlines run along the pixels' edges, so a pixel's middle is inside exactly if the pixel is in the mask, and a
    polygon's area is the number of its pixels. Pixels that touch at a corner are connected; only there the outline cuts
    the two corners between them, an eighth of a pixel each, since a ring that touches itself would not be valid.

    Args:
        mask: (H, W) of 0 and 1.

    Yields:
        Rings (N, 2) of x and y in pixels, not closed, see the module.
    """
    # Every other point of this lattice is a pixel's middle, those between are edges and corners; a pixel takes nine.
    lattice = np.zeros((2 * mask.shape[0] + 1, 2 * mask.shape[1] + 1), dtype=np.uint8)
    lattice[1::2, 1::2] = mask
    lattice = cv2.dilate(lattice, np.ones((3, 3), dtype=np.uint8))
    rings, family = cv2.findContours(lattice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    for index, ring in enumerate(rings):
        _, _, hole, parent = family[0][index]
        if parent < 0:
            polygon = [_along_edges(ring[:, 0], mask)]
            while hole >= 0:
                polygon.append(_along_edges(rings[hole][:, 0], mask))
                hole = family[0][hole][0]
            yield polygon


def pixel_count(polygon: Sequence[np.ndarray]) -> int:
    """Return the number of pixels in a polygon of `outlines`."""
    area = abs(_signed_area(polygon[0])) - sum(abs(_signed_area(hole)) for hole in polygon[1:])
    steps = [np.abs(np.roll(ring, -1, axis=0) - ring) for ring in polygon]
    # Where pixels touch at a corner, each step across it adds the triangle behind it.
    return round(area - sum(int((step == 0.5).all(axis=1).sum()) for step in steps) / 8)


def geojson(
    ids: np.ndarray, classes: Sequence[str], project: Project | None, about: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a FeatureCollection with one polygon for each connected piece of each class.

    `area_px` of a feature is the number of its pixels. `coordinates_are`, a foreign member (RFC 7946, section 6.1),
    says what the numbers are: without `project` they are pixels, which no reader can tell from degrees.

    Args:
        ids: (H, W) class ids, 0 is the background.
        classes: names of the ids from 1 on.
        project: from pixels to longitude and latitude, which RFC 7946 asks for; None leaves pixels.
        about: more of the image than its size, for the foreign member `image`.
    """
    features = []
    for number, name in enumerate(classes, start=1):
        for polygon in outlines((ids == number).astype(np.uint8)):
            rings = [ring if project is None else project(ring) for ring in polygon]
            coordinates = [_wind(ring, anticlockwise=place == 0) for place, ring in enumerate(rings)]
            geometry = {"type": "Polygon", "coordinates": coordinates}
            properties = {"class": name, "class_id": number, "area_px": pixel_count(polygon)}
            features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    height, width = ids.shape
    return {
        "type": "FeatureCollection",
        "coordinates_are": _NO_PLACE if project is None else _PLACE,
        "image": {**(about or {}), "width": width, "height": height},
        "features": features,
    }


def _along_edges(ring: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a ring (N, 2) of the lattice in pixels, with the inner corners that OpenCV cuts."""
    following = np.roll(ring, -1, axis=0)
    # The steps across a corner go from the middle of one edge to that of another; all others follow the edges.
    across = (np.abs(following - ring) == 1).all(axis=1)
    # Of the two points beside such a step one is a pixel's middle, and the other, of even numbers, the corner.
    corner = np.where(ring[:, :1] % 2 == 0, np.stack([ring[:, 0], following[:, 1]], axis=1),
                      np.stack([following[:, 0], ring[:, 1]], axis=1))  # fmt: skip
    across &= _pixels_around(corner // 2, mask) == 3
    places = np.flatnonzero(across)
    whole = np.insert(ring, places + 1, corner[places], axis=0)
    before, after = whole - np.roll(whole, 1, axis=0), np.roll(whole, -1, axis=0) - whole
    bends = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    points: np.ndarray = whole[bends] / 2
    return points


def _pixels_around(corners: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return how many of the four pixels that meet at each corner (N, 2) are in the mask, (N,)."""
    height, width = mask.shape
    count = np.zeros(len(corners), dtype=np.int64)
    for right, below in ((0, 0), (0, 1), (1, 0), (1, 1)):
        columns, rows = corners[:, 0] - 1 + right, corners[:, 1] - 1 + below
        exists = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        count[exists] += mask[rows[exists], columns[exists]] > 0
    return count


def _signed_area(ring: np.ndarray) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _wind(ring: np.ndarray, anticlockwise: bool) -> list[list[float]]:
    """Return a ring as GeoJSON requires: closed, outlines anticlockwise and holes clockwise."""
    turned = ring if (_signed_area(ring) > 0) == anticlockwise else ring[::-1]
    closed: list[list[float]] = [*turned.tolist(), turned[0].tolist()]
    return closed
