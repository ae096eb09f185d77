"""Thin cracks in asphalt, concrete and plaster, among joints, stains, shadows, paint and coarse grain."""

import numpy as np

from naslora_core.data.synthetic.domains import _paint as paint
from naslora_core.data.synthetic.domains.base import sample_domain

Path = tuple[np.ndarray, np.ndarray]


@sample_domain("surface_cracks", title="Sample: cracks in roads and walls (drawn)", class_name="crack")
def draw_surface(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw one piece of road or wall; see `SampleDomain`."""
    size = paint.choose_size(rng, 224, 288)
    kind = rng.choice(["asphalt", "concrete", "plaster"], p=[0.4, 0.4, 0.2])
    picture = _material(rng, size, str(kind))
    for distract, odds in (
        (_stains, 0.5),
        (_joint, 0.4),
        (_paint_stripe, 0.2 if kind == "asphalt" else 0.0),
        (_scratches, 0.25),
        (_drips, 0.35 if kind != "asphalt" else 0.0),
    ):
        if rng.random() < odds:
            picture = distract(rng, picture)
    picture, crack = _cracks(rng, picture)
    picture = picture * paint.uneven_light(rng, size, rng.uniform(0.1, 0.6))[..., None]
    if rng.random() < 0.4:
        picture = _shadow(rng, picture)
    return paint.photograph(rng, picture, softness=1.1, grain=0.02), (crack >= 0.5).astype(np.uint8)


def _material(rng: np.random.Generator, size: paint.Size, kind: str) -> np.ndarray:
    if kind == "asphalt":
        grey, grain, cell = rng.uniform(0.26, 0.5), rng.uniform(0.1, 0.2), rng.uniform(2.6, 4.5)
        tint = np.array((1.0, 1.0, 1.02))
    elif kind == "concrete":
        grey, grain, cell = rng.uniform(0.5, 0.74), rng.uniform(0.03, 0.08), rng.uniform(3, 7)
        tint = np.array((1.0, 0.98, 0.93))
    else:
        grey, grain, cell = rng.uniform(0.62, 0.86), rng.uniform(0.015, 0.05), rng.uniform(4, 10)
        tint = rng.choice(np.array([(1.0, 0.95, 0.84), (0.92, 0.97, 1.0), (1.0, 0.86, 0.76), (0.9, 0.95, 0.86)]))
    field = 1 + grain * paint.noise(rng, size, cell, 2) + rng.uniform(0.03, 0.09) * paint.noise(rng, size, 70, 3)
    picture = (grey * field[..., None] * tint).astype(np.float32)
    if kind == "asphalt":
        stones = paint.ramp(paint.noise(rng, size, rng.uniform(3.5, 6), 1), 1.3, 1.9) * rng.uniform(0.2, 0.6)
        return paint.mix(picture, np.array((0.62, 0.6, 0.57)) * rng.uniform(0.8, 1.2), stones)
    if rng.random() < 0.6:  # pores of concrete: as dark as a crack, but round
        pores = paint.ramp(paint.noise(rng, size, rng.uniform(3, 6), 1), 2.5, 3.0)
        picture = paint.mix(picture, tint * grey * 0.45, pores * 0.8)
    return picture


def _cracks(rng: np.random.Generator, picture: np.ndarray) -> tuple[np.ndarray, paint.Field]:
    size = (picture.shape[0], picture.shape[1])
    width = rng.uniform(2.2, 6.0)
    paths = _net(rng, size, width) if rng.random() < 0.2 else _single(rng, size, width)
    cover = paint.strokes(size, paths)
    depth = rng.uniform(0.5, 0.9) * (1 + 0.12 * paint.noise(rng, size, 30, 2))
    dark = picture * rng.uniform(0.12, 0.4)
    if rng.random() < 0.5:  # one edge is broken and catches the light
        shift = tuple(int(s) for s in rng.choice([-2, -1, 1, 2], 2))
        lip = np.clip(np.roll(cover, shift, axis=(0, 1)) - cover, 0, 1)
        picture = paint.mix(picture, np.clip(picture * 1.35, 0, 1), lip * rng.uniform(0.2, 0.6))
    soft = paint.blur(cover, 0.5)
    return paint.mix(picture, dark, soft * np.clip(depth, 0.4, 0.95)), cover


def _single(rng: np.random.Generator, size: paint.Size, width: float) -> list[Path]:
    paths: list[Path] = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        angle = rng.uniform(0, 2 * np.pi)
        length = min(size) * rng.uniform(0.55, 1.5)
        middle = np.array(size) * rng.uniform(0.15, 0.85, 2)
        there = _crack(rng, middle, angle, length / 2, width)
        back = _crack(rng, middle, angle + np.pi, length / 2, width)
        trunk = np.vstack([back[0][:0:-1], there[0]]), np.concatenate([back[1][:0:-1], there[1]])
        paths.append(trunk)
        for _ in range(rng.integers(0, 4)):
            place = int(rng.integers(len(trunk[0]) // 5, len(trunk[0]) - 1))
            turn = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
            branch_width = max(trunk[1][place] * rng.uniform(0.5, 0.9), 1.6)
            paths.append(_crack(rng, trunk[0][place], turn, length * rng.uniform(0.15, 0.5), branch_width))
    return paths


def _crack(rng: np.random.Generator, begin: np.ndarray, angle: float, length: float, width: float) -> Path:
    path = paint.wander(rng, begin, angle, length, rng.uniform(0.18, 0.4), step=4.0)
    count = len(path)
    swell = 1 + 0.3 * np.interp(
        np.arange(count), np.arange(0, count + 6, 6), rng.normal(0, 1, len(range(0, count + 6, 6)))
    )
    taper = np.minimum(1, np.linspace(4, 0.3, count))
    return path, np.maximum(width * swell * taper, 1.5)


def _net(rng: np.random.Generator, size: paint.Size, width: float) -> list[Path]:
    cell = rng.uniform(38, 70)
    rows, columns = int(size[0] / cell) + 2, int(size[1] / cell) + 2
    corners = (np.moveaxis(np.mgrid[:rows, :columns], 0, -1) + rng.uniform(-0.42, 0.42, (rows, columns, 2))) * cell
    middle, reach = rng.uniform(0.25, 0.75, 2) * size, min(size) * rng.uniform(0.25, 0.5)
    paths: list[Path] = []
    for row in range(rows):
        for column in range(columns):
            for down, right in ((1, 0), (0, 1)):
                if row + down >= rows or column + right >= columns or rng.random() < 0.15:
                    continue
                begin, end = corners[row, column], corners[row + down, column + right]
                if np.hypot(*((begin + end) / 2 - middle)) > reach:
                    continue
                bits = np.linspace(0, 1, 9)[:, None]
                wobble = rng.normal(0, 1.6, (9, 2)) * np.sin(np.pi * bits)
                paths.append(
                    (
                        begin + (end - begin) * bits + wobble,
                        np.full(9, max(width * rng.uniform(0.45, 0.8), 1.6)),
                    )
                )
    return paths or _single(rng, size, width)


def _stains(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    for _ in range(rng.integers(1, 4)):
        stain = paint.blob(rng, size, rng.uniform(0, 1, 2) * size, rng.uniform(12, 60), rng.uniform(1, 3), 0.25)
        strength = paint.ramp(stain, 1.15, 0.7) * rng.uniform(0.12, 0.45)
        picture = paint.mix(picture, picture * rng.choice([0.45, 0.6, 1.4]), strength)
    return picture


def _joint(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    upright, place = rng.random() < 0.5, rng.uniform(0.08, 0.92)
    tilt, wide = rng.normal(0, 0.05), rng.uniform(1.5, 5)
    y, x = paint.grid(size)
    line = (x - place * size[1] - tilt * y) if upright else (y - place * size[0] - tilt * x)
    groove = paint.ramp(np.abs(line), wide / 2 + 0.8, wide / 2 - 0.4)
    picture = paint.mix(picture, picture * rng.uniform(0.4, 0.7), groove * 0.85)
    bevel = np.exp(-(((line - wide) / 1.3) ** 2)) * rng.uniform(0.1, 0.5)
    return paint.mix(picture, np.clip(picture * 1.3, 0, 1), bevel.astype(np.float32))


def _paint_stripe(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    y, x = paint.grid(size)
    turn = rng.uniform(0, np.pi)
    offset = rng.uniform(-0.3, 0.3) * min(size)
    line = (x - size[1] / 2) * np.cos(turn) + (y - size[0] / 2) * np.sin(turn) - offset
    worn = paint.ramp(paint.noise(rng, size, 8, 3), -1.9, -0.6)
    stripe = paint.ramp(np.abs(line), 15, 13.5) * worn
    return paint.mix(picture, rng.choice(np.array([(0.86, 0.86, 0.83), (0.84, 0.68, 0.2)])), stripe * 0.85)


def _scratches(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    paths = []
    for _ in range(rng.integers(1, 6)):
        path = paint.wander(rng, rng.uniform(0, 1, 2) * size, rng.uniform(0, 6.3), rng.uniform(30, 150), 0.02)
        paths.append((path, np.full(len(path), rng.uniform(0.7, 1.8))))
    return paint.mix(picture, np.clip(picture * 1.5 + 0.08, 0, 1), paint.strokes(size, paths) * rng.uniform(0.3, 0.7))


def _drips(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    columns = paint.noise(rng, (1, size[1]), rng.uniform(10, 30), 3)
    fade = paint.ramp(paint.grid(size)[0] / size[0], rng.uniform(0.6, 1.3), 0.0)
    return paint.mix(picture, picture * np.array((0.62, 0.56, 0.5)), paint.ramp(columns, 0.3, 1.6) * fade * 0.6)


def _shadow(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    y, x = paint.grid(size)
    turn, wide = rng.uniform(0, np.pi), rng.uniform(10, 90)
    line = (x - size[1] / 2) * np.cos(turn) + (y - size[0] / 2) * np.sin(turn) - rng.uniform(-0.4, 0.4) * min(size)
    cast = paint.ramp(np.abs(line + rng.uniform(0, 3) * paint.noise(rng, size, 30, 2)), wide + rng.uniform(1, 7), wide)
    shaded: np.ndarray = picture * (1 - rng.uniform(0.3, 0.55) * cast[..., None])
    return shaded
