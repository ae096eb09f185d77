"""Procedural scenes with known objects, on which a SAM learns promptable segmentation."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from naslora_core.data.synthetic.shapes import BoolArray, draw_shape
from naslora_core.data.synthetic.textures import FloatArray, TextureBank, smooth_field

SCENE_GENERATOR_VERSION = 1


@dataclass(frozen=True)
class Scene:
    """One picture and the objects in it.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        labels: (S, S) uint8; 0 is background, i marks the visible part of object i.
        object_count: how many objects are visible; their labels are 1..object_count.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    object_count: int


class SceneGenerator:
    """Draw scene number `index` of a seed; the same numbers always give the same scene.

    Args:
        seed: selects the family of scenes; training and evaluation use different ones.
        side: side of the scenes in pixels.
        min_area_share: smallest visible object, as a share of the scene.
    """

    def __init__(self, seed: int, side: int, min_area_share: float = 0.003) -> None:
        self._seed = seed
        self._side = side
        self._min_area = min_area_share
        self._bank = TextureBank(np.random.default_rng([seed, 0]))

    def draw(self, index: int) -> Scene:
        """Draw one scene."""
        rng = np.random.default_rng([self._seed, 1, index])
        colours = _Palette(rng)
        image = self._surface(rng, colours.background, rng.uniform(0.03, 0.2), self._side, self._side)
        labels = np.zeros((self._side, self._side), dtype=np.uint8)
        for number in range(1, int(rng.integers(3, 10)) + 1):
            area = np.exp(rng.uniform(np.log(1.3 * self._min_area), np.log(0.3)))
            shape = draw_shape(rng, self._side, area)
            if shape.any():
                self._paint(rng, image, shape, colours.object(rng))
                labels[shape] = number
        labels, count = _keep_visible(labels, self._min_area)
        return Scene(_photograph(rng, image), labels, count)

    def _surface(
        self, rng: np.random.Generator, colour: FloatArray, contrast: float, height: int, width: int
    ) -> FloatArray:
        tint = rng.normal(contrast, 0.35 * contrast, size=3).astype(np.float32)
        surface = self._bank.crop(rng, height, width)[..., None] * tint + colour
        if rng.random() < 0.5:
            drift = rng.normal(0, 0.12, size=3).astype(np.float32)
            surface += smooth_field(rng, height, width)[..., None] * drift
        return surface

    def _paint(self, rng: np.random.Generator, image: FloatArray, shape: BoolArray, colour: FloatArray) -> None:
        """Paint one object onto `image`, in place and only around the object."""
        box = _box_around(shape, margin=10)
        ground = image[box]
        height, width = ground.shape[:2]
        surface = self._surface(rng, colour, rng.uniform(0.02, 0.18), height, width)
        if rng.random() < 0.15:
            # Camouflage: the scene's own surroundings, moved, with a slight change of light.
            shift = tuple(rng.integers(self._side // 6, self._side // 2, size=2).tolist())
            light = float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.12))
            surface = np.roll(image, shift, axis=(0, 1))[box] + np.float32(light)
        mask = Image.fromarray(shape[box].astype(np.uint8) * 255)
        if rng.random() < 0.4:
            surface = surface + _relief(rng, mask)
        opacity = rng.uniform(0.55, 0.85) if rng.random() < 0.15 else 1.0
        if rng.random() < 0.3:
            ground = ground * (1 - rng.uniform(0.15, 0.45) * _shadow(rng, mask))
        image[box] = ground + opacity * _blurred(mask, rng.uniform(0.3, 1.6)) * (surface - ground)


class _Palette:
    """Colours of one scene: related to each other, as in a photograph, with some strangers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.background = rng.uniform(0.15, 0.85, size=3).astype(np.float32)
        self._spread = rng.uniform(0.06, 0.3)

    def object(self, rng: np.random.Generator) -> FloatArray:
        if rng.random() < 0.35:
            return rng.uniform(0.05, 0.95, size=3).astype(np.float32)
        offset = rng.normal(0, self._spread, size=3)
        # Below this distance only texture would tell the object from its ground.
        offset *= max(1.0, 0.12 / (np.linalg.norm(offset) + 1e-6))
        return np.asarray(np.clip(self.background + offset, 0, 1), dtype=np.float32)


def _box_around(shape: BoolArray, margin: int) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )


def _blurred(mask: Image.Image, radius: float) -> FloatArray:
    blurred = np.asarray(mask.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)
    return np.divide(blurred, 255, dtype=np.float32)[..., None]


def _relief(rng: np.random.Generator, mask: Image.Image) -> FloatArray:
    slope_rows, slope_columns = np.gradient(_blurred(mask, rng.uniform(2, 12))[..., 0])
    angle = rng.uniform(0, 2 * np.pi)
    light = float(np.cos(angle)) * slope_rows + float(np.sin(angle)) * slope_columns
    relief = light * (rng.uniform(0.1, 0.3) / (float(np.abs(light).max()) + 1e-6))
    if rng.random() < 0.4:
        relief += 0.5 * (relief > 0.8 * relief.max())
    return np.asarray(relief[..., None], dtype=np.float32)


def _shadow(rng: np.random.Generator, mask: Image.Image) -> FloatArray:
    shift = tuple(rng.integers(-8, 9, size=2).tolist())
    return np.roll(_blurred(mask, rng.uniform(2, 6)), shift, axis=(0, 1))


def _keep_visible(labels: NDArray[np.uint8], min_area: float) -> tuple[NDArray[np.uint8], int]:
    areas = np.bincount(labels.ravel(), minlength=2)[1:]
    visible = np.flatnonzero(areas >= min_area * labels.size) + 1
    renumber = np.zeros(256, dtype=np.uint8)
    renumber[visible] = np.arange(1, len(visible) + 1)
    return renumber[labels], len(visible)


def _photograph(rng: np.random.Generator, image: FloatArray) -> NDArray[np.uint8]:
    """Add what a camera adds: uneven light, vignetting, blur, noise and JPEG blocks."""
    side = image.shape[0]
    if rng.random() < 0.6:
        image = image * (1 + rng.uniform(0.05, 0.35) * smooth_field(rng, side, side)[..., None])
    if rng.random() < 0.3:
        squares = np.linspace(-1, 1, side, dtype=np.float32) ** 2
        distance = np.asarray(np.add.outer(squares, squares), dtype=np.float32)
        image = image * (1 - rng.uniform(0.1, 0.3) * distance[..., None])
    noise = rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None] * rng.uniform(0, 0.03)
    picture = Image.fromarray((np.clip(image + noise, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.35:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.4:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(35, 95)))
        picture = Image.open(buffer).convert("RGB")
    return np.asarray(picture)
