"""Colours of a scene: similar to each other, as in a photograph, with some unrelated ones."""

import numpy as np

from naslora_core.data.synthetic.textures import FloatArray

UNRELATED_SHARE = 0.25


class Palette:
    """Colours around one background colour.

    Args:
        rng: source of randomness.
        similarity: of the colours, 0..1; at 1 objects differ from their ground in shade more than in colour.
    """

    def __init__(self, rng: np.random.Generator, similarity: float) -> None:
        grey = rng.uniform(0.15, 0.85)
        colourfulness = rng.uniform(0.0, 0.35)
        self.background = np.clip(grey + rng.normal(0, colourfulness, size=3), 0.04, 0.96).astype(np.float32)
        self._spread = float(rng.uniform(0.06, 0.3)) * (1 - 0.8 * similarity)
        # Below the least distance only texture or light would tell an object from its ground.
        self._least_distance = 0.12 * (1 - similarity) + 0.02
        self._unrelated_share = UNRELATED_SHARE * (1 - similarity)

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """Return the colour of an object, (3,) in 0..1."""
        if rng.random() < self._unrelated_share:
            return rng.uniform(0.05, 0.95, size=3).astype(np.float32)
        offset = rng.normal(0, self._spread, size=3) + rng.normal(0, 0.7 * self._spread)
        offset *= max(1.0, self._least_distance / (float(np.linalg.norm(offset)) + 1e-6))
        return np.asarray(np.clip(self.background + offset, 0.02, 0.98), dtype=np.float32)
