"""Random textures with the statistics of natural images, cheap enough to draw during training."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class TextureBank:
    """A store of random textures from which crops are taken.

    Drawing a 1/f texture costs a Fourier transform, taking a crop of one costs nothing.

    Args:
        rng: source of randomness; the same generator state gives the same bank.
        count: how many textures are stored.
        size: side of a stored texture in pixels; they tile, so a crop may start anywhere.
    """

    def __init__(self, rng: np.random.Generator, count: int = 48, size: int = 512) -> None:
        self._textures = np.stack([_draw_texture(rng, size) for _ in range(count)])
        self._smooth = np.stack([power_law_noise(rng, size, exponent=rng.uniform(2.0, 3.0)) for _ in range(count // 6)])

    def crop(self, rng: np.random.Generator, height: int, width: int) -> FloatArray:
        """Return a random crop, (height, width), zero mean and unit variance over its whole texture."""
        return _crop(rng, self._textures, height, width)

    def crop_smooth(self, rng: np.random.Generator, height: int, width: int) -> FloatArray:
        """Return a random crop, (height, width), of hills and valleys without fine structure."""
        return _crop(rng, self._smooth, height, width)


@lru_cache(maxsize=2)
def texture_bank(seed: int) -> TextureBank:
    """Return the texture bank of a seed, cached because drawing one takes a second."""
    return TextureBank(np.random.default_rng([seed, 0]))


def _crop(rng: np.random.Generator, textures: FloatArray, height: int, width: int) -> FloatArray:
    texture = textures[rng.integers(len(textures))]
    rows = (rng.integers(texture.shape[0]) + np.arange(height)) % texture.shape[0]
    columns = (rng.integers(texture.shape[1]) + np.arange(width)) % texture.shape[1]
    crop = texture[np.ix_(rows, columns)]
    return np.ascontiguousarray(crop.T if height == width and rng.random() < 0.5 else crop)


def _draw_texture(rng: np.random.Generator, size: int) -> FloatArray:
    kind = rng.choice(["noise", "noise", "noise", "stripes", "cells"])
    noise = power_law_noise(rng, size, exponent=rng.uniform(0.8, 2.6), stretch=rng.choice([1.0, 1.0, 3.0]))
    if kind == "noise":
        return noise
    if kind == "stripes":
        cycles = rng.integers(4, 60, size=2) * rng.choice([0, 1, -1], size=2, p=[0.3, 0.4, 0.3])
        rows, columns = np.mgrid[:size, :size] / size
        wave = np.sin(2 * np.pi * (cycles[0] * rows + cycles[1] * columns) + rng.uniform(0.2, 1.5) * noise)
        return _standardise(wave + 0.4 * noise)
    # The zero crossings of smooth noise are closed curves: cells, scales or veins.
    return _standardise(np.abs(power_law_noise(rng, size, exponent=rng.uniform(2.2, 3.0))) + 0.2 * noise)


def power_law_noise(rng: np.random.Generator, size: int, exponent: float, stretch: float = 1.0) -> FloatArray:
    """Return periodic noise whose amplitude falls as 1 / frequency ** exponent.

    Args:
        exponent: about 1 for natural images (Field 1987, J. Opt. Soc. Am. A 4:2379); 0 is white noise.
        stretch: elongation of the structures along the columns.

    Returns:
        (size, size), zero mean and unit variance.
    """
    rows = np.fft.fftfreq(size)[:, None] * stretch
    columns = np.fft.rfftfreq(size)[None, :]
    radius = np.hypot(rows, columns)
    radius[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / radius**exponent
    spectrum[0, 0] = 0.0
    return _standardise(np.fft.irfft2(spectrum, s=(size, size)))


def smooth_field(rng: np.random.Generator, height: int, width: int, waves: int = 3) -> FloatArray:
    """Return a slowly varying field, (height, width), in -1..1: uneven light or a shift of hue."""
    rows, columns = np.linspace(0, 1, height, dtype=np.float32), np.linspace(0, 1, width, dtype=np.float32)
    field = np.zeros((height, width), dtype=np.float32)
    for _ in range(waves):
        frequency_rows, frequency_columns, phase = rng.uniform(-1.2, 1.2, size=3).tolist()
        along_rows = 2 * np.pi * (frequency_rows * rows + phase)
        along_columns = 2 * np.pi * frequency_columns * columns
        # cos(a + b) as two outer products costs a vector's worth of cosines, not an image's.
        field += np.outer(np.cos(along_rows), np.cos(along_columns))
        field -= np.outer(np.sin(along_rows), np.sin(along_columns))
    return np.asarray(field / waves, dtype=np.float32)


def _standardise(field: NDArray[np.floating]) -> FloatArray:
    return np.asarray((field - field.mean()) / (field.std() + 1e-8), dtype=np.float32)
