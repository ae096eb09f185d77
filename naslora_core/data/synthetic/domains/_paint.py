"""Fields, shapes and camera faults that the sample domains are painted with.

A field is (H, W) float32; a picture is (H, W, 3) float32 RGB in 0..1. All sizes are pixels.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Field = np.ndarray
Size = tuple[int, int]
Point = Sequence[float] | np.ndarray
SUPERSAMPLING = 3
FAR = 9.0


def choose_size(rng: np.random.Generator, low: int = 224, high: int = 320) -> Size:
    """Return (H, W) in steps of 16; four in ten are not square."""
    sides = np.arange(low, high + 1, 16)
    height = int(rng.choice(sides))
    return height, height if rng.random() < 0.6 else int(rng.choice(sides))


def grid(size: Size) -> tuple[Field, Field]:
    """Return the y and the x of every pixel."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return y, x


def enlarge(field: Field, size: Size) -> Field:
    """Return a field at (H, W) `size`, smoothly interpolated."""
    picture = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BICUBIC))


def noise(rng: np.random.Generator, size: Size, cell: float, octaves: int = 3) -> Field:
    """Return cloudy noise around 0 with a deviation of about 1; its largest features are `cell` wide."""
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        coarse = (int(size[0] / step) + 3, int(size[1] / step) + 3)
        total += enlarge(rng.standard_normal(coarse), size) * 0.55**octave
    return (total - total.mean()) / (total.std() + 1e-6)


def blur(field: Field, sigma: float) -> Field:
    """Return a field (or a picture) blurred by a Gaussian of deviation `sigma`."""
    if sigma < 0.2:
        return field
    reach = int(np.ceil(2.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(reach, reach) if axis == a else (0, 0) for a in range(field.ndim)]
        padded = np.pad(field, padding, mode="edge")
        length = field.shape[axis]
        parts = (np.take(padded, range(k, k + length), axis=axis) * w for k, w in enumerate(weights))
        field = sum(parts, np.zeros_like(field)).astype(np.float32)
    return field


def ramp(field: Field, low: float, high: float) -> Field:
    """Return 0 below `low`, 1 above `high` and a smooth step between; `low` may be the larger one."""
    share = np.clip((field - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def blob(
    rng: np.random.Generator,
    size: Size,
    centre: Point,
    radius: float,
    stretch: float = 1.0,
    roughness: float = 0.15,
) -> Field:
    """Return distances from `centre` (y, x) in units of an irregular outline; inside is below 1.

    Exact up to about twice the outline, and FAR beyond the surroundings of the shape.

    Args:
        rng: source of the outline.
        size: of the field.
        centre: y and x.
        radius: mean distance of the outline.
        stretch: ratio of the longer to the shorter axis.
        roughness: deviation of the outline, as a share of the radius.
    """
    turn, reach = rng.uniform(0, np.pi), 4 * radius * np.sqrt(stretch)
    strengths, phases = rng.normal(size=7) * roughness, rng.uniform(0, 2 * np.pi, 7)
    top, left = (int(np.clip(c - reach, 0, side - 1)) for c, side in zip(centre, size, strict=True))
    bottom, right = (int(np.clip(c + reach, 1, side)) for c, side in zip(centre, size, strict=True))
    dy, dx = (axis[top:bottom, left:right] - c for axis, c in zip(grid(size), centre, strict=True))
    along = (dx * np.cos(turn) + dy * np.sin(turn)) / np.sqrt(stretch)
    across = (dy * np.cos(turn) - dx * np.sin(turn)) * np.sqrt(stretch)
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for harmonic, strength, phase in zip(range(2, 9), strengths, phases, strict=True):
        outline += strength / harmonic**0.8 * np.cos(harmonic * angle + phase)
    distances = np.full(size, FAR, np.float32)
    distances[top:bottom, left:right] = np.hypot(along, across) / (radius * np.maximum(outline, 0.35))
    return distances


def cells(rng: np.random.Generator, size: Size, cell: float) -> Field:
    """Return how far each pixel is from the border of its Voronoi cell, in units of `cell`."""
    rows, columns = int(size[0] / cell) + 3, int(size[1] / cell) + 3
    jitter = rng.uniform(0.0, 1.0, (rows, columns, 2)).astype(np.float32)
    y, x = (axis / cell + 1 for axis in grid(size))
    row, column = y.astype(int), x.astype(int)
    distances = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            r, c = np.clip(row + down, 0, rows - 1), np.clip(column + right, 0, columns - 1)
            distances.append(np.hypot(r + jitter[r, c, 0] - y, c + jitter[r, c, 1] - x))
    nearest = np.partition(np.stack(distances), 1, axis=0)
    return nearest[1] - nearest[0]


def wander(
    rng: np.random.Generator, start: Point, angle: float, length: float, unrest: float, step: float = 3.0
) -> np.ndarray:
    """Return a path (N, 2) of y, x from `start` towards `angle` that turns by `unrest` radians a step."""
    count = max(2, int(length / step))
    swing = np.cumsum(rng.normal(0, unrest, count))
    # Pulled back to its first direction, or long paths would curl up.
    heading = angle + (swing - np.linspace(0, swing[-1], count) * 0.7) + rng.normal(0, unrest, count)
    steps = np.stack([np.sin(heading), np.cos(heading)], axis=1) * step
    path: np.ndarray = np.vstack([[start], start + np.cumsum(steps, axis=0)])
    return path


def strokes(size: Size, paths: Sequence[tuple[np.ndarray, np.ndarray]]) -> Field:
    """Return how much of each pixel strokes cover; each is a path (N, 2) of y, x and its widths (N,)."""
    scale = SUPERSAMPLING
    canvas = Image.new("L", (size[1] * scale, size[0] * scale))
    pen = ImageDraw.Draw(canvas)
    for path, widths in paths:
        points = [(float(x) * scale, float(y) * scale) for y, x in path]
        for begin, end, width in zip(points, points[1:], widths, strict=False):
            half = width * scale / 2
            pen.line([begin, end], fill=255, width=max(1, round(width * scale)))
            pen.ellipse([end[0] - half, end[1] - half, end[0] + half, end[1] + half], fill=255)
    return np.asarray(canvas.reduce(scale), np.float32) / 255


def mix(picture: np.ndarray, colour: Sequence[float] | np.ndarray, amount: Field) -> np.ndarray:
    """Return a picture with `colour` (one RGB, or a picture) laid over it, opaque where `amount` is 1."""
    over = np.asarray(colour, np.float32)
    mixed: np.ndarray = picture + (over - picture) * amount[..., None]
    return mixed


def uneven_light(rng: np.random.Generator, size: Size, strength: float) -> Field:
    """Return factors around 1: brighter on one side, with soft clouds."""
    y, x = grid(size)
    turn = rng.uniform(0, 2 * np.pi)
    slope = (y / size[0] - 0.5) * np.sin(turn) + (x / size[1] - 0.5) * np.cos(turn)
    clouds = noise(rng, size, max(size) * 0.7, octaves=1)
    return np.maximum(1 + strength * (1.2 * slope + 0.25 * clouds), 0.15).astype(np.float32)


def photograph(rng: np.random.Generator, picture: np.ndarray, softness: float, grain: float) -> np.ndarray:
    """Return (H, W, 3) uint8: the picture through a camera with its tint, exposure, focus and grain.

    Args:
        rng: source of the faults.
        picture: (H, W, 3) float32 in 0..1.
        softness: largest blur of the focus, in pixels.
        grain: largest deviation of the sensor's noise, in units of the full range.
    """
    tint = rng.normal(1, 0.025, 3).astype(np.float32)
    exposed = np.clip(picture * tint * rng.uniform(0.85, 1.12), 0, None) ** rng.uniform(0.9, 1.15)
    focused = blur(exposed.astype(np.float32), rng.uniform(0.0, 1.0) ** 2 * softness)
    noisy = focused + rng.normal(0, grain * rng.uniform(0.2, 1.0), focused.shape)
    return (np.clip(noisy, 0, 1) * 255 + 0.5).astype(np.uint8)
