"""Leaves with brown lesions: few or many, often small, between veins, yellowing, shade, holes and dust."""

import numpy as np

from naslora_core.data.synthetic.domains import _paint as paint
from naslora_core.data.synthetic.domains.base import sample_domain

LEAF_GREENS = np.array([(0.22, 0.42, 0.14), (0.42, 0.58, 0.24), (0.36, 0.56, 0.42), (0.30, 0.48, 0.20)])
LESION_BROWNS = np.array([(0.30, 0.18, 0.10), (0.42, 0.26, 0.14), (0.36, 0.24, 0.22), (0.52, 0.38, 0.20)])
LEAST_SHARE = 0.003
GROUNDS = np.array([(0.36, 0.27, 0.19), (0.62, 0.61, 0.58), (0.16, 0.22, 0.10), (0.80, 0.78, 0.74), (0.22, 0.22, 0.23)])


@sample_domain("leaf_lesions", title="Sample: lesions on leaves (drawn)", class_name="lesion")
def draw_leaf(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw one leaf; see `SampleDomain`."""
    while True:
        image, mask = _compose(rng)
        if mask.mean() > LEAST_SHARE:  # else its lesions fell on a hole or beside the leaf
            return image, mask


def _compose(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    size = paint.choose_size(rng)
    leaf = np.ones(size, np.float32) if rng.random() < 0.5 else _outline(rng, size)
    ground = _ground(rng, size)
    surface = _surface(rng, size)
    surface = _yellowing(rng, surface)
    surface, lesions = _lesions(rng, surface, leaf)
    surface = _dirt(rng, surface)
    holes = _holes(rng, size) if rng.random() < 0.15 else np.zeros(size, np.float32)
    visible = leaf * (1 - holes)
    shadow = paint.blur(np.roll(leaf, (4, 5), axis=(0, 1)), 5) * 0.45
    picture = paint.mix(ground * (1 - shadow[..., None]), surface, visible)
    picture = picture * paint.uneven_light(rng, size, rng.uniform(0.1, 0.7))[..., None]
    if rng.random() < 0.35:
        picture = _shade(rng, picture)
    mask = (lesions > 0.5) & (visible > 0.5)
    return paint.photograph(rng, picture, softness=1.4, grain=0.03), mask.astype(np.uint8)


def _outline(rng: np.random.Generator, size: paint.Size) -> paint.Field:
    y, x = paint.grid(size)
    turn = rng.uniform(0, 2 * np.pi)
    cy, cx = size[0] * rng.uniform(0.42, 0.58), size[1] * rng.uniform(0.42, 0.58)
    along = ((x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)) / (max(size) * rng.uniform(0.5, 0.7))
    across = ((y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)) / (min(size) * rng.uniform(0.32, 0.5))
    profile = np.clip(1 - np.abs(along) ** 2.2, 0, None) ** 0.8
    teeth = 0.02 * np.sin(along * rng.uniform(25, 60)) + 0.03 * paint.noise(rng, size, 40, 2)
    return paint.ramp(profile - np.abs(across) + teeth, -0.008, 0.012)


def _ground(rng: np.random.Generator, size: paint.Size) -> np.ndarray:
    colour = GROUNDS[rng.integers(len(GROUNDS))] + rng.normal(0, 0.015, 3)
    texture = 0.7 * paint.noise(rng, size, rng.uniform(10, 60)) + 0.3 * paint.noise(rng, size, 4, 2)
    picture = np.clip(colour * (1 + 0.28 * rng.uniform(0.1, 1) * texture[..., None]), 0, 1)
    for _ in range(rng.integers(0, 12)):  # crumbs and litter, some as brown as a lesion
        centre = rng.uniform(0, 1, 2) * size
        crumb = paint.blob(rng, size, centre, rng.uniform(2, 14), rng.uniform(1, 3), 0.3)
        picture = paint.mix(picture, colour * rng.uniform(0.4, 1.4), paint.ramp(crumb, 1.05, 0.8))
    return paint.blur(picture.astype(np.float32), rng.choice([0.0, 0.8, 3.0]))


def _surface(rng: np.random.Generator, size: paint.Size) -> np.ndarray:
    colour = LEAF_GREENS[rng.integers(len(LEAF_GREENS))] * rng.uniform(0.85, 1.15) + rng.normal(0, 0.02, 3)
    shade = 1 + 0.07 * paint.noise(rng, size, 90, 2) + 0.03 * paint.noise(rng, size, 5, 2)
    cell = rng.uniform(9, 26)
    border = paint.cells(rng, size, cell)
    bulge = paint.ramp(border, 0.0, rng.uniform(0.25, 0.5))
    shade = shade * (1 - rng.uniform(0.08, 0.28) * (1 - paint.blur(bulge, 0.8)))
    picture = (np.clip(colour, 0.05, 0.9) * shade[..., None]).astype(np.float32)
    veins = paint.blur(paint.strokes(size, _veins(rng, size)), rng.uniform(0.5, 1.2))
    pale = np.clip(colour * 1.35 + (0.1, 0.1, 0.04), 0, 0.95)
    return paint.mix(picture, pale, veins * rng.uniform(0.35, 0.8))


def _veins(rng: np.random.Generator, size: paint.Size) -> list[tuple[np.ndarray, np.ndarray]]:
    angle, reach = rng.uniform(0, 2 * np.pi), float(np.hypot(*size)) * 1.2
    direction = np.array([np.sin(angle), np.cos(angle)])
    middle = np.array(size) * rng.uniform(0.3, 0.7, 2)
    main = paint.wander(rng, middle - direction * reach / 2, angle, reach, 0.015)
    paths = [(main, np.linspace(rng.uniform(3, 6), 1.5, len(main)))]
    gap = rng.integers(9, 17)
    for place in range(0, len(main), int(gap)):
        for side in (-1, 1):
            begin = main[min(place + int(rng.integers(0, 5)), len(main) - 1)]
            branch = paint.wander(rng, begin, angle + side * rng.uniform(0.7, 1.1), reach * 0.45, 0.03)
            paths.append((branch, np.linspace(rng.uniform(1.4, 2.6), 0.5, len(branch))))
    return paths


def _yellowing(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    for _ in range(rng.integers(0, 3)):
        patch = paint.blob(rng, size, rng.uniform(0, 1, 2) * size, rng.uniform(20, 80), rng.uniform(1, 2.5))
        yellow = np.array((0.62, 0.58, 0.22)) * rng.uniform(0.8, 1.1)
        picture = paint.mix(picture, yellow, paint.ramp(patch, 1.4, 0.3) * rng.uniform(0.15, 0.5))
    return picture


def _lesions(rng: np.random.Generator, picture: np.ndarray, leaf: paint.Field) -> tuple[np.ndarray, paint.Field]:
    size = leaf.shape
    covered = np.zeros(size, np.float32)
    inside = np.argwhere(leaf > 0.9)
    inside = inside[rng.permutation(len(inside))[:200]]
    foci = inside[: rng.integers(1, 4)]
    brown = LESION_BROWNS[rng.integers(len(LESION_BROWNS))]
    grain = 0.16 * paint.noise(rng, size, 5, 2)[..., None]
    haloed, eyed = rng.random() < 0.6, rng.random() < 0.35
    typical = rng.choice([5.0, 7.0, 10.0, 14.0, 22.0])
    for number in range(int(np.clip(rng.lognormal(2.0 if typical < 8 else 1.2, 0.7), 1, 28))):
        spread = rng.normal(0, min(size) * 0.14, 2)
        centre = inside[number] if rng.random() < 0.5 else foci[number % len(foci)] + spread
        radius = float(np.clip(typical * rng.lognormal(0, 0.35), 3, 46))
        shape = paint.blob(rng, size, centre, radius, rng.uniform(1, 1.8), rng.uniform(0.1, 0.24))
        if haloed:
            halo = paint.ramp(shape, rng.uniform(1.4, 2.2), 0.9) * rng.uniform(0.2, 0.6)
            picture = paint.mix(picture, (0.66, 0.62, 0.24), halo * leaf)
        picture = _lesion(rng, picture, shape, brown * rng.uniform(0.85, 1.2) * (1 + grain), eyed, radius)
        covered = np.maximum(covered, (shape < 1).astype(np.float32))
    return picture, covered


def _lesion(
    rng: np.random.Generator,
    picture: np.ndarray,
    shape: paint.Field,
    colour: np.ndarray,
    eyed: bool,
    radius: float,
) -> np.ndarray:
    if eyed and radius > 5:
        centre = np.array((0.66, 0.58, 0.44)) * rng.uniform(0.85, 1.1)
        colour = paint.mix(colour, centre, paint.ramp(shape, 0.75, 0.5))
    elif rng.random() < 0.4:
        colour = paint.mix(colour, colour * 0.5, paint.ramp(shape, 0.6, 0.1) * 0.7)
    edge = min(0.3, 1.2 / radius)
    opacity = paint.ramp(shape, 1 + edge, 1 - edge) * rng.uniform(0.68, 0.97)
    return paint.mix(picture, np.clip(colour, 0, 1), opacity)


def _dirt(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    if rng.random() < 0.4:
        hairs = []
        for _ in range(rng.integers(4, 30)):
            path = paint.wander(rng, rng.uniform(0, 1, 2) * size, rng.uniform(0, 6.3), rng.uniform(8, 40), 0.12)
            hairs.append((path, np.full(len(path), 0.8)))
        picture = paint.mix(picture, (0.8, 0.85, 0.7), paint.strokes(size, hairs) * 0.5)
    if rng.random() < 0.4:
        glints = paint.ramp(paint.noise(rng, size, rng.uniform(5, 16), 2), 2.1, 2.9)
        picture = paint.mix(picture, (0.95, 0.97, 0.95), glints * 0.8)
    return picture


def _holes(rng: np.random.Generator, size: paint.Size) -> paint.Field:
    holes = np.zeros(size, np.float32)
    for _ in range(rng.integers(1, 5)):
        shape = paint.blob(rng, size, rng.uniform(0.1, 0.9, 2) * size, rng.uniform(4, 16), rng.uniform(1, 2), 0.2)
        holes = np.maximum(holes, paint.ramp(shape, 1.05, 0.95))
    return holes


def _shade(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    cast = paint.blob(rng, size, rng.uniform(-0.1, 1.1, 2) * size, rng.uniform(50, 150), rng.uniform(1, 4), 0.1)
    darkening = paint.ramp(cast, 1.0 + rng.uniform(0.02, 0.2), 0.95) * rng.uniform(0.3, 0.55)
    shaded: np.ndarray = picture * (1 - darkening[..., None])
    return shaded
