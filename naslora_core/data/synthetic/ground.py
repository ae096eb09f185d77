"""Surfaces: textured, tinted, unevenly lit areas that grounds and objects are made of."""

import numpy as np
from PIL import Image, ImageFilter

from naslora_core.data.synthetic.relief import Light, depth_of_tube, folds, glints
from naslora_core.data.synthetic.textures import FloatArray, TextureBank, smooth_field


def draw_surface(
    rng: np.random.Generator, bank: TextureBank, colour: FloatArray, contrast: float, height: int, width: int
) -> FloatArray:
    """Return (height, width, 3): one colour with one or two tinted textures and a drift of hue."""
    tint = rng.normal(contrast, 0.35 * contrast, size=3).astype(np.float32)
    surface = bank.crop(rng, height, width)[..., None] * tint + colour
    if rng.random() < 0.3:
        # A second texture of another hue: variegated, as most natural surfaces are.
        tint = rng.normal(0, 0.7 * contrast, size=3).astype(np.float32)
        surface += bank.crop(rng, height, width)[..., None] * tint
    if rng.random() < 0.5:
        drift = rng.normal(0, 0.12, size=3).astype(np.float32)
        surface += smooth_field(rng, height, width)[..., None] * drift
    return surface


def draw_ground(rng: np.random.Generator, bank: TextureBank, colour: FloatArray, light: Light, side: int) -> FloatArray:
    """Return the ground of a scene, (side, side, 3): flat, folded, a tube, or out of focus."""
    ground = draw_surface(rng, bank, colour, rng.uniform(0.02, 0.18), side, side)
    if rng.random() < 0.4:
        height = folds(rng, bank, side) if rng.random() < 0.6 else bank.crop_smooth(rng, side, side)
        facing = light.on(height)
        ground *= (1 + np.float32(rng.uniform(0.1, 0.6)) * facing)[..., None]
        if light.gloss:
            ground += glints(facing, bank.crop(rng, side, side), light.gloss)[..., None]
    if rng.random() < 0.2:
        ground *= depth_of_tube(rng, side)[..., None]
    if rng.random() < 0.15:
        ground = blurred_picture(ground, rng.uniform(1.5, 5))
    return ground


def blurred_picture(picture: FloatArray, radius: float) -> FloatArray:
    """Return an (H, W, 3) picture out of focus, clipped to 0..1."""
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    blurred = image.filter(ImageFilter.GaussianBlur(radius))
    return np.divide(np.asarray(blurred), np.float32(255), dtype=np.float32)
