"""Distractors in a scene that are not objects: specks below them, writing and reflections above them."""

import numpy as np
from PIL import Image, ImageDraw

from naslora_core.data.synthetic.textures import FloatArray


def scatter_specks(rng: np.random.Generator, image: FloatArray) -> None:
    """Paint many small discs or dashes of one or two colours onto the ground, in place."""
    side = image.shape[0]
    canvas = Image.new("L", (side, side))
    pen = ImageDraw.Draw(canvas)
    largest = rng.uniform(1.0, 5.0)
    slant = rng.normal(0, 1.5, size=2)
    for x, y, size in rng.uniform((0, 0, 0.6), (side, side, largest), size=(int(rng.integers(15, 90)), 3)).tolist():
        if slant[0] > 0:
            pen.ellipse((x - size, y - size, x + size, y + size), fill=int(rng.integers(120, 256)))
        else:
            pen.line((x, y, x + 3 * size * slant[0], y + 3 * size * slant[1]), fill=220, width=max(1, int(size / 2)))
    _overlay(image, canvas, rng.uniform(0, 1, size=3), rng.uniform(0.3, 0.9))


def write_lines(rng: np.random.Generator, image: FloatArray) -> None:
    """Write something that looks like text over the image, in place: strokes in rows of even height."""
    side = image.shape[0]
    canvas = Image.new("L", (side, side))
    pen = ImageDraw.Draw(canvas)
    size = rng.uniform(4, 11)
    left, top = rng.uniform(0, 0.8 * side, size=2)
    for row in range(int(rng.integers(1, 5))):
        for column in range(int(rng.integers(3, 14))):
            x, y = left + 0.75 * size * column, top + 1.5 * size * row
            corners = rng.integers(0, 3, size=(4, 2)) * (0.25 * size, 0.5 * size) + (x, y)
            pen.line([tuple(corner) for corner in corners.tolist()], fill=255)
    ink = np.full(3, rng.choice([0.02, 0.98])) if rng.random() < 0.7 else rng.uniform(0, 1, size=3)
    _overlay(image, canvas, ink, rng.uniform(0.5, 1.0))


def sprinkle_reflections(rng: np.random.Generator, image: FloatArray, gloss: float) -> None:
    """Paint small bright reflections, as of a wet surface under a lamp, anywhere on the image, in place."""
    side = image.shape[0]
    canvas = Image.new("L", (side, side))
    pen = ImageDraw.Draw(canvas)
    count = int(rng.integers(2, 30))
    centres, radii = rng.uniform(0, side, size=(count, 2)), rng.exponential(2.2, size=(count, 2))
    for (x, y), (width, height) in zip(centres.tolist(), radii.tolist(), strict=True):
        pen.ellipse((x - width, y - height, x + width, y + height), fill=255)
    _overlay(image, canvas, np.full(3, 1.0), min(1.0, 0.4 + gloss))


def _overlay(image: FloatArray, canvas: Image.Image, colour: np.ndarray, opacity: float) -> None:
    share = np.asarray(canvas, dtype=np.float32)[..., None] * np.float32(opacity / 255)
    image += share * (colour.astype(np.float32) - image)
