"""Camera effects on a scene: lens distortion, light, frame, focus, noise and JPEG."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from naslora_core.data.synthetic.shapes import BoolArray
from naslora_core.data.synthetic.textures import FloatArray, smooth_field

BARREL_STRENGTHS = (0.1, 0.2, 0.35)
Labels = NDArray[np.uint8]


def bend(
    rng: np.random.Generator, image: FloatArray, labels: NDArray[np.uint8]
) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Distort image (S, S, 3) and labels (S, S) as a wide lens does: straight lines bow outwards."""
    source = _barrel_source(image.shape[0], float(rng.choice(BARREL_STRENGTHS)))
    return image.reshape(-1, 3)[source], labels.ravel()[source]


def expose(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    """Add uneven light, vignetting, a colour cast and a tone curve."""
    side = image.shape[0]
    gain = np.ones((side, side), dtype=np.float32)
    if rng.random() < 0.6:
        gain += np.float32(rng.uniform(0.05, 0.35)) * smooth_field(rng, side, side)
    if rng.random() < 0.4:
        squares = np.linspace(-1, 1, side, dtype=np.float32) ** 2
        gain *= 1 - np.float32(rng.uniform(0.1, 0.45)) * np.add.outer(squares, squares)
    cast = rng.normal(1, 0.05, size=3).astype(np.float32)
    exposed = np.clip(image * gain[..., None] * cast, 0, 1)
    return np.asarray(exposed ** np.float32(np.exp(rng.normal(0, 0.2))), dtype=np.float32)


def frame(rng: np.random.Generator, side: int) -> BoolArray:
    """Return where a round or round-cornered frame shows the scene, (side, side), as an endoscope has one."""
    canvas = Image.new("1", (side, side))
    pen = ImageDraw.Draw(canvas)
    left, top, right, bottom = (rng.uniform(-0.12, 0.06, size=4) * side).tolist()
    if rng.random() < 0.5:
        pen.ellipse((left, top, side - right, side - bottom), fill=1)
    else:
        pen.rounded_rectangle((left, top, side - right, side - bottom), radius=side * rng.uniform(0.05, 0.35), fill=1)
    return np.asarray(canvas)


def padding(rng: np.random.Generator, side: int) -> BoolArray:
    """Return where a photograph that is not square leaves the square empty: at the bottom or at the right."""
    empty = np.zeros((side, side), dtype=bool)
    from_here = slice(int(side * rng.uniform(0.55, 0.98)), None)
    empty[from_here if rng.random() < 0.7 else (slice(None), from_here)] = True
    return empty


def develop(rng: np.random.Generator, image: FloatArray) -> NDArray[np.uint8]:
    """Return the photograph, (S, S, 3) uint8, with blur, noise and JPEG blocks."""
    picture = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.45:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    if rng.random() < 0.7:
        grain = rng.standard_normal(image.shape[:2], dtype=np.float32) * np.float32(255 * rng.uniform(0, 0.03))
        picture = Image.fromarray(np.clip(np.asarray(picture) + grain[..., None], 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(35, 95)))
        picture = Image.open(buffer).convert("RGB")
    return np.asarray(picture)


@lru_cache
def _barrel_source(side: int, strength: float) -> NDArray[np.intp]:
    axis = np.linspace(-1, 1, side)
    radius = np.add.outer(axis**2, axis**2)
    # At the corners the factor is 1, so that nothing outside the scene is asked for.
    scale = (1 + strength * radius) / (1 + 2 * strength)
    rows = np.rint((axis[:, None] * scale + 1) / 2 * (side - 1)).astype(np.intp)
    columns = np.rint((axis[None, :] * scale + 1) / 2 * (side - 1)).astype(np.intp)
    return rows * side + columns
