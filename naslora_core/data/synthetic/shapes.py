"""Random outlines: blobs, polygons, rings, crescents and thin curves."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

BoolArray = NDArray[np.bool_]
Points = list[tuple[float, float]]
Centre = NDArray[np.float64]

KIND_SHARES = {
    "blob": 0.36,
    "ellipse": 0.18,
    "polygon": 0.12,
    "box": 0.1,
    "ring": 0.05,
    "crescent": 0.05,
    "curve": 0.09,
    "branches": 0.05,
}


def draw_kind(rng: np.random.Generator) -> str:
    """Draw one of the kinds of shapes."""
    return str(rng.choice(list(KIND_SHARES), p=list(KIND_SHARES.values())))


def draw_shape(rng: np.random.Generator, side: int, kind: str, centre: Centre, area_share: float) -> BoolArray:
    """Draw one random shape.

    Args:
        rng: source of randomness.
        side: side of the canvas in pixels.
        kind: a key of `KIND_SHARES`.
        centre: (2,), x and y in pixels.
        area_share: wished area as a share of the canvas; what falls outside is cut off.

    Returns:
        (side, side), true inside the shape.
    """
    canvas = Image.new("1", (side, side))
    draw = ImageDraw.Draw(canvas)
    radius = float(side * np.sqrt(area_share / np.pi))
    if kind == "curve":
        _draw_curve(rng, draw, centre, radius)
    elif kind == "branches":
        _draw_branches(rng, draw, centre, radius)
    else:
        draw.polygon(_around(rng, centre, _radii(rng, kind) * radius), fill=1)
        if kind == "ring":
            draw.polygon(_around(rng, centre, _blob_radii(rng, 64) * radius * rng.uniform(0.4, 0.7)), fill=0)
        elif kind == "crescent":
            aside = centre + radius * rng.uniform(0.5, 1.0) * _direction(rng.uniform(0, 2 * np.pi))
            draw.polygon(_around(rng, aside, _blob_radii(rng, 64) * radius), fill=0)
    return np.asarray(canvas)


def _radii(rng: np.random.Generator, kind: str) -> NDArray[np.float64]:
    if kind == "polygon":
        return rng.uniform(0.5, 1.5, size=int(rng.integers(3, 9)))
    if kind == "box":
        return np.full(4, 1.25)
    return np.ones(64) if kind == "ellipse" else _blob_radii(rng, 64) * (1.0 if kind == "blob" else 1.3)


def _blob_radii(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radii = np.ones(count)
    unrest = rng.uniform(0.1, 0.55)
    for order in range(2, 8):
        radii += rng.normal(0, unrest / order) * np.cos(order * angles + rng.uniform(0, 2 * np.pi))
    return np.clip(radii, 0.25, None)


def _around(rng: np.random.Generator, centre: Centre, radii: NDArray[np.float64]) -> Points:
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    elongation = np.exp(rng.normal(0, 0.35))
    turn = rng.uniform(0, np.pi)
    across, along = radii * np.cos(angles) * elongation, radii * np.sin(angles) / elongation
    x = centre[0] + across * np.cos(turn) - along * np.sin(turn)
    y = centre[1] + across * np.sin(turn) + along * np.cos(turn)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _draw_curve(rng: np.random.Generator, draw: ImageDraw.ImageDraw, centre: Centre, radius: float) -> None:
    # A curve of the wished area is about as long as five radii and as wide as a fraction of one.
    width = max(2, round(radius * rng.uniform(0.2, 0.6)))
    heading = rng.uniform(0, 2 * np.pi)
    start = centre - 2.5 * radius * _direction(heading)
    _draw_path(rng, draw, start, heading, 5.3 * radius, width)


def _draw_branches(rng: np.random.Generator, draw: ImageDraw.ImageDraw, centre: Centre, radius: float) -> None:
    width = max(2, round(radius * rng.uniform(0.15, 0.35)))
    for heading in rng.uniform(0, 2 * np.pi, size=int(rng.integers(3, 6))):
        end = _draw_path(rng, draw, centre, float(heading), rng.uniform(1.5, 3.5) * radius, width)
        _draw_path(rng, draw, end, heading + rng.normal(0, 0.8), 1.2 * radius, max(1, width - 1))


def _draw_path(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, start: Centre, heading: float, length: float, width: int
) -> Centre:
    headings = heading + np.cumsum(rng.normal(0, 0.28, size=14))
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / 14)
    points = np.vstack([start, start + np.cumsum(steps, axis=0)])
    draw.line([tuple(point) for point in points.tolist()], fill=1, width=width, joint="curve")
    return np.asarray(points[-1])


def _direction(angle: float) -> Centre:
    return np.array([np.cos(angle), np.sin(angle)])
