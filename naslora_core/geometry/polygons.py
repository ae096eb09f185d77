"""Convert masks to shapes: GeoJSON polygons with holes, and COCO's run lengths."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as run_lengths

# Maps points (N, 2) of x and y in pixels to other coordinates.
Project = Callable[[np.ndarray], np.ndarray]


def outlines(mask: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yield the polygons of a mask: the outline of a connected piece, then those of its holes.

    OpenCV joins the middles of border pixels, which makes objects a pixel smaller and lines of pixels vanish.
    Here outlines run along the pixels' edges: a pixel's middle is inside exactly if the pixel is in the mask.
    Inner corners are cut by an eighth of a pixel. Pixels that touch at a corner are connected.

    Args:
        mask: (H, W) of 0 and 1.

    Yields:
        Rings (N, 2) of x and y in pixels, not closed; the image's upper left corner is 0, 0.
    """
    # Every other point of this lattice is a pixel's middle, those between are edges and corners; a pixel takes nine.
    lattice = np.zeros((2 * mask.shape[0] + 1, 2 * mask.shape[1] + 1), dtype=np.uint8)
    lattice[1::2, 1::2] = mask
    lattice = cv2.dilate(lattice, np.ones((3, 3), dtype=np.uint8))
    rings, family = cv2.findContours(lattice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    for index, ring in enumerate(rings):
        _, _, hole, parent = family[0][index]
        if parent < 0:
            polygon = [ring[:, 0] / 2]
            while hole >= 0:
                polygon.append(rings[hole][:, 0] / 2)
                hole = family[0][hole][0]
            yield polygon


def geojson(ids: np.ndarray, classes: Sequence[str], project: Project | None) -> dict[str, Any]:
    """Return a FeatureCollection with one polygon for each connected piece of each class.

    Args:
        ids: (H, W) class ids, 0 is the background.
        classes: names of the ids from 1 on.
        project: from pixels to longitude and latitude, which RFC 7946 asks for; None leaves pixels.
    """
    features = []
    for number, name in enumerate(classes, start=1):
        for polygon in outlines(ids == number):
            area_px = abs(_signed_area(polygon[0])) - sum(abs(_signed_area(hole)) for hole in polygon[1:])
            rings = [ring if project is None else project(ring) for ring in polygon]
            coordinates = [_wind(ring, anticlockwise=place == 0) for place, ring in enumerate(rings)]
            geometry = {"type": "Polygon", "coordinates": coordinates}
            about = {"class": name, "class_id": number, "area_px": round(area_px, 3)}
            features.append({"type": "Feature", "properties": about, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def coco_annotations(ids: np.ndarray, image_id: int) -> list[dict[str, Any]]:
    """Return COCO's annotation of every class in an image: its exact mask in run lengths, without `id`.

    Args:
        ids: (H, W) class ids, 0 is the background.
        image_id: of the image in the same file.
    """
    annotations = []
    for number in np.unique(ids[ids > 0]).tolist():
        encoded = run_lengths.encode(np.asfortranarray(ids == number, dtype=np.uint8))
        box, area = run_lengths.toBbox(encoded).tolist(), int(run_lengths.area(encoded))
        segmentation = {"size": list(ids.shape), "counts": encoded["counts"].decode("ascii")}
        annotations.append({"image_id": image_id, "category_id": number, "segmentation": segmentation,
                            "bbox": box, "area": area, "iscrowd": 0})  # fmt: skip
    return annotations


def _signed_area(ring: np.ndarray) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _wind(ring: np.ndarray, anticlockwise: bool) -> list[list[float]]:
    """Return a ring as GeoJSON requires: closed, outlines anticlockwise and holes clockwise."""
    turned = ring if (_signed_area(ring) > 0) == anticlockwise else ring[::-1]
    closed: list[list[float]] = [*turned.tolist(), turned[0].tolist()]
    return closed
