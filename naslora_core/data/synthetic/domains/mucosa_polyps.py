"""Polyps on a wet mucosa: domes and flat ones lit from the camera, among folds, glints and bubbles."""

import numpy as np

from naslora_core.data.synthetic.domains import _paint as paint
from naslora_core.data.synthetic.domains.base import sample_domain

MUCOSA = np.array([(0.74, 0.36, 0.28), (0.80, 0.46, 0.36), (0.66, 0.28, 0.24), (0.78, 0.52, 0.38)])


@sample_domain("mucosa_polyps", title="Sample: polyps on a mucosa (drawn)", class_name="polyp")
def draw_mucosa(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw one view of a mucosa; see `SampleDomain`."""
    size = paint.choose_size(rng)
    lumen = _lumen(rng, size)
    height = _folds(rng, size) + 1.3 * paint.noise(rng, size, 45, 2)
    colour = _tissue(rng, size)
    mask = np.zeros(size, bool)
    count = int(rng.choice([1, 1, 1, 1, 2, 3]))
    for _ in range(count):
        height, colour, shape = _polyp(rng, height, colour, np.maximum(lumen, mask), largest=0.34 / count**0.5)
        mask |= shape < 1
    picture = _light(rng, height, colour, lumen)
    if rng.random() < 0.4:
        picture = _debris(rng, picture)
    if rng.random() < 0.3:
        picture = _bubbles(rng, picture)
    picture, visible = _screen(rng, picture)
    return paint.photograph(rng, picture, softness=1.5, grain=0.018), (mask & visible).astype(np.uint8)


def _lumen(rng: np.random.Generator, size: paint.Size) -> paint.Field:
    if rng.random() < 0.45:
        return np.zeros(size, np.float32)
    centre = rng.choice([0.12, 0.3, 0.7, 0.88], 2) * size + rng.normal(0, 12, 2)
    hole = paint.blob(rng, size, centre, min(size) * rng.uniform(0.12, 0.26), rng.uniform(1, 1.8), 0.08)
    return paint.ramp(hole, 1.9, 0.6)


def _folds(rng: np.random.Generator, size: paint.Size) -> paint.Field:
    y, x = paint.grid(size)
    height = np.zeros(size, np.float32)
    bend = paint.noise(rng, size, 110, 2) * 9
    for _ in range(rng.integers(1, 5)):
        far = rng.uniform(0.6, 1.6) * max(size)
        turn = rng.uniform(0, 2 * np.pi)
        cy, cx = size[0] / 2 + far * np.sin(turn), size[1] / 2 + far * np.cos(turn)
        distance = np.hypot(y - cy, x - cx) - far - rng.uniform(-0.45, 0.45) * min(size) + bend
        width = rng.uniform(10, 34)
        # Steeper on one side than on the other, as a fold that hangs over.
        profile = np.where(
            distance < 0, np.exp(-((distance / (width * 0.55)) ** 2)), np.exp(-((distance / width) ** 2))
        )
        height += (width * rng.uniform(0.25, 0.6) * profile).astype(np.float32)
    return height


def _tissue(rng: np.random.Generator, size: paint.Size) -> np.ndarray:
    base = MUCOSA[rng.integers(len(MUCOSA))] * rng.uniform(0.9, 1.1) + rng.normal(0, 0.015, 3)
    redness = 0.05 * paint.noise(rng, size, 70, 3)
    colour = base + redness[..., None] * np.array((0.5, -0.7, -0.5)) + 0.012 * paint.noise(rng, size, 5, 2)[..., None]
    vessels = []
    for _ in range(rng.integers(0, 8)):
        angle, begin = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1, 2) * size
        trunk = paint.wander(rng, begin, angle, rng.uniform(50, 160), 0.13)
        vessels.append((trunk, np.linspace(rng.uniform(1.2, 2.6), 0.6, len(trunk))))
        for place in rng.integers(0, len(trunk), 4):
            twig = paint.wander(rng, trunk[place], angle + rng.choice([-0.8, 0.8]), rng.uniform(15, 60), 0.16)
            vessels.append((twig, np.linspace(1.2, 0.5, len(twig))))
    red = base * np.array((0.75, 0.45, 0.5))
    return paint.mix(
        colour.astype(np.float32), red, paint.blur(paint.strokes(size, vessels), 0.8) * rng.uniform(0.2, 0.55)
    )


def _polyp(
    rng: np.random.Generator, height: paint.Field, colour: np.ndarray, taken: paint.Field, largest: float
) -> tuple[paint.Field, np.ndarray, paint.Field]:
    size = height.shape
    share = float(rng.choice([0.09, 0.13, 0.18, 0.24, 0.32]) * rng.uniform(0.85, 1.15))
    radius = min(size) * min(share, largest)
    places = rng.uniform(0.08, 0.92, (8, 2)) * size
    # Not in the dark of the lumen, where nobody could outline it, nor on top of another one.
    centre = min(places, key=lambda place: taken[int(place[0]), int(place[1])])
    shape = paint.blob(rng, size, centre, radius, rng.uniform(1, 1.7), rng.uniform(0.03, 0.12))
    flat = rng.random() < 0.25
    dome = np.clip(1 - shape**2, 0, 1) ** 0.7 if not flat else paint.ramp(shape, 1.0, 0.72)
    lobes = paint.noise(rng, size, max(radius * rng.uniform(0.25, 0.6), 4), 2) * rng.uniform(0.0, 0.09)
    rise = radius * (rng.uniform(0.14, 0.22) if flat else rng.uniform(0.35, 0.6)) * (dome + lobes * dome)
    within = paint.ramp(shape, 1.04, 0.94)
    # It stands on the tissue, and hides the folds under it.
    raised = height * (1 - 0.75 * within) + paint.blur(rise.astype(np.float32), 1.0)
    hue = rng.choice([-0.6, 1]) * rng.uniform(0.025, 0.075)
    own = colour * (1 - 0.6 * within[..., None]) + 0.6 * within[..., None] * colour.mean(axis=(0, 1))
    own = own + within[..., None] * hue * np.array((0.4, -1.0, -0.8))
    pits = paint.noise(rng, size, rng.uniform(4, 8), 1) * rng.uniform(0.0, 0.028)
    return raised.astype(np.float32), own + (within * pits)[..., None], shape


def _light(rng: np.random.Generator, height: paint.Field, colour: np.ndarray, lumen: paint.Field) -> np.ndarray:
    size = height.shape
    y, x = paint.grid(size)
    ly, lx = size[0] * rng.uniform(0.25, 0.75), size[1] * rng.uniform(0.25, 0.75)
    distance = np.hypot(y - ly, x - lx) / max(size)
    fall, away = 1.12 - rng.uniform(0.45, 1.0) * distance, max(size) * 0.45
    slope_y, slope_x = np.gradient(paint.blur(height, 0.8))
    to_light = np.stack([(ly - y) / away, (lx - x) / away, np.ones(size)]).astype(np.float32)
    to_light /= np.linalg.norm(to_light, axis=0)
    normal = np.stack([-slope_y, -slope_x, np.ones(size)]).astype(np.float32)
    normal /= np.linalg.norm(normal, axis=0)
    facing = np.clip((normal * to_light).sum(axis=0), 0, 1)
    hollow = np.clip(paint.blur(height, 6) - height, 0, None)
    shade = (0.38 + 0.68 * facing**1.5) * fall * rng.uniform(1.0, 1.3) * np.exp(-0.06 * hollow)
    lit = colour * (shade * (1 - 0.88 * lumen))[..., None]
    wet_y, wet_x = np.gradient(height + rng.uniform(0.35, 0.8) * paint.noise(rng, size, 11, 2))
    wet = 1 / np.sqrt(1 + (wet_y + (y - ly) / away * 0.6) ** 2 + (wet_x + (x - lx) / away * 0.6) ** 2)
    edge = rng.uniform(0.9955, 0.9985)
    patches = paint.ramp(paint.noise(rng, size, 26, 2) + 0.04 * paint.blur(height, 4), 0.6, 1.2)
    return paint.mix(lit, (1.0, 0.97, 0.94), paint.ramp(wet, edge, 0.9998) * patches * (1 - lumen) * 0.95)


def _debris(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    for _ in range(rng.integers(1, 7)):
        bit = paint.blob(rng, size, rng.uniform(0, 1, 2) * size, rng.uniform(2, 13), rng.uniform(1, 2.5), 0.3)
        ochre = (
            np.array((0.62, 0.48, 0.16)) * rng.uniform(0.6, 1.1) * (1 + 0.12 * paint.noise(rng, size, 5, 2))[..., None]
        )
        picture = paint.mix(picture, ochre, paint.ramp(bit, 1.1, 0.75) * rng.uniform(0.5, 0.95))
    return picture


def _bubbles(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    y, x = paint.grid(size)
    middle = rng.uniform(0.1, 0.9, 2) * size
    for _ in range(rng.integers(3, 16)):
        cy, cx = middle + rng.normal(0, 24, 2)
        radius = rng.uniform(2, 7)
        distance = np.hypot(y - cy, x - cx)
        rim = np.exp(-(((distance - radius) / 0.9) ** 2)) * 0.4
        glint = np.exp(-(((y - cy + radius * 0.4) ** 2 + (x - cx + radius * 0.4) ** 2) / 1.6)) * 0.8
        picture = paint.mix(picture, (1.0, 0.95, 0.9), np.maximum(rim, glint))
    return picture


def _screen(rng: np.random.Generator, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = (picture.shape[0], picture.shape[1])
    y, x = paint.grid(size)
    dy, dx = np.abs(y / size[0] - 0.5) * 2, np.abs(x / size[1] - 0.5) * 2
    if (kind := rng.random()) < 0.4:
        frame = paint.ramp(dy + dx, rng.uniform(1.5, 1.62), 1.47)
    elif kind < 0.65:
        frame = paint.ramp(np.hypot(dy, dx), 1.1, 1.06)
    else:
        frame = np.ones(size, np.float32)
    picture = picture * frame[..., None]
    if rng.random() < 0.25:
        corner = (y > size[0] * 0.72) & (x < size[1] * 0.28)
        picture, frame = np.where(corner[..., None], 0.01, picture), frame * ~corner
    if rng.random() < 0.4:
        dots = np.kron(rng.random((10, 12)) < 0.45, np.ones((1, 2)))
        dots[3::4] = 0
        top = int(size[0] * 0.1)
        picture[top : top + 10, 4:28] += dots[..., None] * 0.7
    return picture, frame > 0.3
