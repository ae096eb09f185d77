"""Shade uneven surfaces, so that a flat outline looks like a bump, and a ground like folds or a tube.

Fields are (H, W) float32; heights have no unit, because only their slopes relative to each other matter.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, uniform_filter

from naslora_core.data.synthetic.shapes import BoolArray
from naslora_core.data.synthetic.textures import FloatArray, TextureBank

LARGEST_DOME_GRID = 48


@dataclass(frozen=True)
class Light:
    """Where the light of a scene comes from and how wet its surfaces are.

    Attributes:
        rows, columns: unit vector in the image plane.
        gloss: strength of reflections, 0..1.
    """

    rows: float
    columns: float
    gloss: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Light":
        """Draw a direction; half of the scenes are dull."""
        angle = rng.uniform(0, 2 * np.pi)
        return cls(float(np.sin(angle)), float(np.cos(angle)), float(max(0.0, rng.uniform(-0.8, 0.8))))

    def on(self, height: FloatArray) -> FloatArray:
        """Return how much a relief faces the light, -1..1; 0 where it is level."""
        facing = np.zeros_like(height)
        facing[1:-1] = self.rows * (height[2:] - height[:-2])
        facing[:, 1:-1] += self.columns * (height[:, 2:] - height[:, :-2])
        return facing / (float(np.abs(facing).max()) + 1e-6)


def dome(rng: np.random.Generator, shape: BoolArray) -> FloatArray:
    """Return a rounded height over `shape`: 0 outside, up to 1 inside."""
    step = max(1, max(shape.shape) // LARGEST_DOME_GRID)
    depth = distance_transform_edt(np.pad(shape[::step, ::step], 1)).astype(np.float32)
    rounded = np.minimum(depth / (float(depth.max()) * rng.uniform(0.5, 1.0) + 1e-6), 1)
    height = uniform_filter(np.sqrt(np.maximum(0, 1 - (1 - rounded) ** 2)), size=3)
    return _resized(height[1:-1, 1:-1], shape.shape)


def folds(rng: np.random.Generator, bank: TextureBank, side: int) -> FloatArray:
    """Return the height of a folded ground: parallel ridges, or rings around the end of a tube."""
    rows, columns = (axis.astype(np.float32) / side for axis in np.ogrid[:side, :side])
    warp = bank.crop_smooth(rng, side, side) * np.float32(rng.uniform(0.2, 1.5))
    if rng.random() < 0.5:
        angle, cycles = rng.uniform(0, np.pi), rng.uniform(1.0, 6.0)
        phase = (2 * np.pi * cycles) * (np.float32(np.sin(angle)) * rows + np.float32(np.cos(angle)) * columns)
    else:
        centre = rng.uniform(0.1, 0.9, size=2).astype(np.float32)
        phase = rng.uniform(6, 16) * np.sqrt((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 + 0.01)
    wave = np.sin(np.asarray(phase, dtype=np.float32) + warp)
    # Ridges are narrower than the valleys between them.
    return np.asarray((0.5 + 0.5 * wave) ** rng.uniform(1, 4), dtype=np.float32)


def depth_of_tube(rng: np.random.Generator, side: int) -> FloatArray:
    """Return brightness, (side, side) in 0..1, of a ground that runs away from the lamp: dark at its far end."""
    rows, columns = (axis.astype(np.float32) / side for axis in np.ogrid[:side, :side])
    centre = rng.uniform(-0.1, 1.1, size=2).astype(np.float32)
    distance = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    darkness = rng.uniform(0.3, 0.95) * np.exp(-distance / np.float32(rng.uniform(0.02, 0.5)))
    return np.asarray(1 - darkness, dtype=np.float32)


def glints(facing: FloatArray, roughness: FloatArray, gloss: float) -> FloatArray:
    """Return reflections of the lamp, 0..1: where a surface faces the light, broken up by its roughness.

    Args:
        facing: what `Light.on` gives.
        roughness: zero mean, unit variance.
    """
    return np.asarray(np.clip((facing + 0.25 * roughness - 0.75) * 4, 0, 1) * gloss, dtype=np.float32)


def _resized(field: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    if field.shape == shape:
        return field
    picture = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
