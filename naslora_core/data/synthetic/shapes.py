"""Random outlines: blobs, polygons, rings and thin curves."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

BoolArray = NDArray[np.bool_]
Points = list[tuple[float, float]]


def draw_shape(rng: np.random.Generator, side: int, area_share: float) -> BoolArray:
    """Draw one random shape at a random place.

    Args:
        side: side of the canvas in pixels.
        area_share: wished area as a share of the canvas; what falls outside is cut off.

    Returns:
        (side, side), true inside the shape.
    """
    canvas = Image.new("1", (side, side))
    draw = ImageDraw.Draw(canvas)
    centre = rng.uniform(0.05 * side, 0.95 * side, size=2)
    radius = side * np.sqrt(area_share / np.pi)
    kind = rng.choice(["blob", "ellipse", "polygon", "box", "ring", "curve"], p=[0.35, 0.2, 0.15, 0.1, 0.08, 0.12])
    if kind == "curve":
        _draw_curve(rng, draw, centre, radius)
    elif kind == "ring":
        draw.polygon(_around(rng, centre, _blob_radii(rng, 64) * radius * 1.3), fill=1)
        draw.polygon(_around(rng, centre, _blob_radii(rng, 64) * radius * rng.uniform(0.5, 0.9)), fill=0)
    else:
        draw.polygon(_around(rng, centre, _radii(rng, str(kind)) * radius), fill=1)
    return np.asarray(canvas)


def _radii(rng: np.random.Generator, kind: str) -> NDArray[np.float64]:
    if kind == "polygon":
        return rng.uniform(0.5, 1.5, size=int(rng.integers(3, 9)))
    if kind == "box":
        return np.full(4, 1.25)
    return _blob_radii(rng, 64) if kind == "blob" else np.ones(64)


def _blob_radii(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radii = np.ones(count)
    for order in range(2, 8):
        radii += rng.normal(0, 0.45 / order) * np.cos(order * angles + rng.uniform(0, 2 * np.pi))
    return np.clip(radii, 0.25, None)


def _around(rng: np.random.Generator, centre: NDArray[np.float64], radii: NDArray[np.float64]) -> Points:
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    elongation = np.exp(rng.normal(0, 0.35))
    turn = rng.uniform(0, np.pi)
    across, along = radii * np.cos(angles) * elongation, radii * np.sin(angles) / elongation
    x = centre[0] + across * np.cos(turn) - along * np.sin(turn)
    y = centre[1] + across * np.sin(turn) + along * np.cos(turn)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _draw_curve(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, centre: NDArray[np.float64], radius: float
) -> None:
    # A curve of the wished area is about as long as four radii and as wide as a fraction of one.
    width = max(3, round(radius * rng.uniform(0.25, 0.6)))
    heading = rng.uniform(0, 2 * np.pi)
    point = centre - 2.5 * radius * np.array([np.cos(heading), np.sin(heading)])
    points = [tuple(point)]
    for _ in range(14):
        heading += rng.normal(0, 0.28)
        point = point + 0.38 * radius * np.array([np.cos(heading), np.sin(heading)])
        points.append(tuple(point))
    draw.line(points, fill=1, width=width, joint="curve")
