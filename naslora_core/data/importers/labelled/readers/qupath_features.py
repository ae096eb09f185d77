"""Read the objects of a GeoJSON file of QuPath: the names of their classes, and their outlines in pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.shared.json_files import reason_of
from naslora_core.errors import DataError
from naslora_core.reading import read_json


@dataclass(frozen=True, eq=False)
class Feature:
    """An object: its number in the file, the name of its class ("" for none), and its outlines, (N, 2) x and y each.

    No outlines: it has no area, or lies in another plane of a stack.
    """

    number: int
    name: str
    rings: Sequence[np.ndarray]


def read_features(file: Path, left_out: LeftOut | None = None) -> list[Feature]:
    """Return the objects of a GeoJSON file, a collection, a list or a single feature.

    Errors of single objects go to `left_out`.

    Raises:
        DataError: if it is something else, has places on Earth instead of pixels, or an outline is not valid.
    """
    try:
        content = read_json(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as JSON in UTF-8: {error}; export it again") from error
    features = content.get("features", [content]) if isinstance(content, dict) else content
    if not isinstance(features, list):
        raise DataError(f"{file} is no GeoJSON: expected a FeatureCollection; export it again")
    if isinstance(content, dict) and content.get("crs"):
        raise DataError(f"{file} has a system of coordinates (crs): places on Earth, and no pixels. Export pixels")
    found = []
    for number, feature in enumerate(features, start=1):
        try:
            found.append(_feature(number, feature))
        except (KeyError, TypeError, ValueError, AttributeError, LookupError) as error:
            reason = reason_of(error)[:200]
            (left_out or LeftOut()).add(
                DataError(f"{file}: feature {number} is not sound: {reason}; correct or remove it")
            )
    return found


def _feature(number: int, feature: dict[str, Any]) -> Feature:
    geometry, properties = feature["geometry"], feature.get("properties") or {}
    plane = geometry.get("plane") or {}
    parts = _polygons(geometry) if not any(plane.get(axis) for axis in ("z", "t")) else []
    return Feature(number, _class_name(properties.get("classification")), parts)


def _polygons(geometry: dict[str, Any]) -> list[np.ndarray]:
    kind = geometry["type"]
    if kind == "GeometryCollection":
        return [ring for part in geometry["geometries"] for ring in _polygons(part)]
    if kind not in ("Polygon", "MultiPolygon"):
        return []
    polygons = [geometry["coordinates"]] if kind == "Polygon" else geometry["coordinates"]
    rings = [np.asarray(ring, dtype=float) for polygon in polygons for ring in polygon]
    for ring in rings:
        if ring.ndim != 2 or ring.shape[1] not in (2, 3) or len(ring) < 3 or not np.isfinite(ring).all():
            raise ValueError(f"an outline has the shape {ring.shape}, expected three or more pairs of x and y")
    return [ring[:, :2] for ring in rings]


def _class_name(classification: Any) -> str:
    """Return the name that QuPath shows: of a derived class all names, joined by ": "."""
    if isinstance(classification, dict):
        classification = classification.get("name") or ": ".join(classification.get("names") or [])
    if not isinstance(classification, str | None):
        raise ValueError(f"its classification is {str(classification)[:60]!r}, expected a name")
    return (classification or "").strip()
