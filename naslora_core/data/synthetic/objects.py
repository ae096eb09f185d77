"""Paint objects into a scene: flat or bulging, opaque or not, sharp or soft, obvious or hidden."""

import numpy as np
from PIL import Image, ImageFilter

from naslora_core.data.synthetic.ground import blurred_picture, draw_surface
from naslora_core.data.synthetic.palette import Palette
from naslora_core.data.synthetic.relief import Light, dome, glints
from naslora_core.data.synthetic.shapes import BoolArray
from naslora_core.data.synthetic.textures import FloatArray, TextureBank

MARGIN_PX = 12


class ObjectPainter:
    """Paint the objects of one scene, which share its light, its palette and how likely they bulge or have soft edges.

    Args:
        rng: draws what all objects of the scene share.
        bank: textures.
        palette: colours.
        light: where the light comes from.
    """

    def __init__(self, rng: np.random.Generator, bank: TextureBank, palette: Palette, light: Light) -> None:
        self._bank = bank
        self._palette = palette
        self._light = light
        self._bulging_share = float(rng.choice([0.15, 0.5, 0.95]))
        self._soft_share = float(rng.choice([0.1, 0.7]))
        # Like a herd, everything of one colour, so that only edges and light tell its members apart.
        self._common_colour = palette.draw(rng) if rng.random() < 0.15 else None

    def paint(self, rng: np.random.Generator, image: FloatArray, shape: BoolArray) -> None:
        """Paint one object onto `image`, (S, S, 3), in place and only around the object.

        Args:
            rng: draws how the object looks.
            image: the scene so far.
            shape: (S, S), true at least once.
        """
        box = box_around(shape, MARGIN_PX)
        ground, inside = image[box], shape[box]
        surface = self._surface(rng, image, box)
        mask = Image.fromarray(inside.astype(np.uint8) * 255)
        if rng.random() < self._bulging_share:
            surface = self._bulge(rng, surface, inside)
        if rng.random() < 0.1:
            surface = surface + np.float32(rng.normal(0, 0.25)) * _rim(rng, mask)
        if rng.random() < 0.08:
            surface = blurred_picture(surface, rng.uniform(1, 3))
        if rng.random() < 0.35:
            ground = ground * (1 - np.float32(rng.uniform(0.1, 0.45)) * _shadow(rng, mask))
        opacity = rng.uniform(0.4, 0.85) if rng.random() < 0.15 else 1.0
        share = np.float32(opacity) * _blurred(mask, self._softness(rng, inside))
        image[box] = ground + share * (surface - ground)

    def _surface(self, rng: np.random.Generator, image: FloatArray, box: tuple[slice, slice]) -> FloatArray:
        look = rng.random()
        if look < 0.12:
            # Camouflage: the scene's own surroundings, moved, with a slight change of light.
            shift = tuple(rng.integers(image.shape[0] // 6, image.shape[0] // 2, size=2).tolist())
            light = rng.choice([-1, 1]) * rng.uniform(0.04, 0.12)
            return np.asarray(np.roll(image, shift, axis=(0, 1))[box] + np.float32(light))
        colour = self._common_colour if self._common_colour is not None else self._palette.draw(rng)
        if look < 0.35:
            # The same stuff as its ground, stained: its texture runs on across the edge.
            return np.asarray(
                image[box] * np.float32(rng.uniform(0.6, 1.0)) + 0.8 * (colour - self._palette.background)
            )
        height, width = image[box].shape[:2]
        return draw_surface(rng, self._bank, colour, rng.uniform(0.02, 0.18), height, width)

    def _bulge(self, rng: np.random.Generator, surface: FloatArray, inside: BoolArray) -> FloatArray:
        height = dome(rng, inside)
        facing = self._light.on(height)
        shading = 1 + np.float32(rng.uniform(0.1, 0.5)) * facing - np.float32(rng.uniform(0, 0.3)) * (1 - height)
        lit = surface * shading[..., None]
        if self._light.gloss:
            lit += glints(facing, self._bank.crop(rng, *facing.shape), self._light.gloss)[..., None]
        return np.asarray(lit)

    def _softness(self, rng: np.random.Generator, inside: BoolArray) -> float:
        if rng.random() > self._soft_share:
            return float(rng.uniform(0.3, 1.2))
        return float(rng.uniform(0.5, max(1.0, min(6.0, 0.06 * np.sqrt(inside.sum())))))


def box_around(shape: BoolArray, margin: int) -> tuple[slice, slice]:
    """Return the rows and the columns of a shape, with a margin."""
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )


def _blurred(mask: Image.Image, radius: float) -> FloatArray:
    blurred = np.asarray(mask.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)
    return np.divide(blurred, 255, dtype=np.float32)[..., None]


def _rim(rng: np.random.Generator, mask: Image.Image) -> FloatArray:
    blurred = _blurred(mask, rng.uniform(1, 4))
    return np.asarray(4 * blurred * (1 - blurred), dtype=np.float32)


def _shadow(rng: np.random.Generator, mask: Image.Image) -> FloatArray:
    shift = tuple(rng.integers(-8, 9, size=2).tolist())
    return np.roll(_blurred(mask, rng.uniform(2, 6)), shift, axis=(0, 1))
