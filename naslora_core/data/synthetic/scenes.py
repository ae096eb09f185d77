"""Procedural scenes with known objects, on which a SAM learns promptable segmentation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from naslora_core.data.synthetic import camera, clutter
from naslora_core.data.synthetic.ground import draw_ground
from naslora_core.data.synthetic.objects import ObjectPainter
from naslora_core.data.synthetic.palette import Palette
from naslora_core.data.synthetic.relief import Light
from naslora_core.data.synthetic.shapes import BoolArray, draw_kind, draw_shape
from naslora_core.data.synthetic.textures import FloatArray, texture_bank
from naslora_core.sam.square import PADDING_RGB

SCENE_GENERATOR_VERSION = 2

LARGEST_AREA_SHARE = 0.5
LEAST_WHOLE_WITH_PARTS = 0.015


@dataclass(frozen=True)
class Scene:
    """One picture and the objects in it.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        labels: (S, S) uint8; 0 is background, i marks the visible part of object i.
        parents: for each label, the object it is a part of, or 0; entry 0 stands for the background.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    parents: tuple[int, ...]

    @property
    def object_count(self) -> int:
        """How many objects and parts are visible; their numbers are 1..object_count."""
        return len(self.parents) - 1

    def mask(self, number: int) -> BoolArray:
        """Return where object `number` is visible, (S, S), with all its parts."""
        belongs = np.array([number in (label, parent) for label, parent in enumerate(self.parents)])
        return np.asarray(belongs[self.labels])


class SceneGenerator:
    """Draw scene number `index` of a seed; the same numbers always give the same scene.

    Args:
        seed: selects the family of scenes; training and evaluation use different ones.
        side: side of the scenes in pixels.
        min_area_share: smallest visible object, as a share of the scene.
    """

    def __init__(self, seed: int, side: int, min_area_share: float = 0.001) -> None:
        self._seed = seed
        self._side = side
        self._min_area = min_area_share
        self._bank = texture_bank(seed)

    def draw(self, index: int) -> Scene:
        """Draw one scene."""
        rng = np.random.default_rng([self._seed, 1, index])
        light = Light.draw(rng)
        palette = Palette(rng, similarity=max(0.0, rng.uniform(-1, 1)))
        image = draw_ground(rng, self._bank, palette.background, light, self._side)
        if rng.random() < 0.2:
            clutter.scatter_specks(rng, image)
        painter = ObjectPainter(rng, self._bank, palette, light)
        canvas = _Canvas(image, np.zeros(image.shape[:2], dtype=np.uint8), [0])
        for _ in range(int(rng.integers(2, 11))):
            self._add_object(rng, canvas, painter)
        return self._photograph(rng, canvas, light.gloss)

    def _add_object(self, rng: np.random.Generator, canvas: "_Canvas", painter: ObjectPainter) -> None:
        # Sizes are spread over orders of magnitude; those in the middle are the most frequent.
        smallest = np.log(1.3 * self._min_area)
        share = float(np.exp(smallest + rng.beta(1.5, 1.4) * (np.log(LARGEST_AREA_SHARE) - smallest)))
        centre = rng.uniform(0.05 * self._side, 0.95 * self._side, size=2)
        whole = draw_shape(rng, self._side, draw_kind(rng), centre, share)
        number = canvas.add(rng, painter, whole, parent=0)
        if number and share > LEAST_WHOLE_WITH_PARTS and rng.random() < 0.3:
            for _ in range(int(rng.integers(1, 4))):
                inside = np.flatnonzero(whole)
                row, column = np.unravel_index(inside[rng.integers(len(inside))], whole.shape)
                part_share = share * rng.uniform(0.05, 0.4)
                part = draw_shape(rng, self._side, draw_kind(rng), np.array([column, row], dtype=float), part_share)
                canvas.add(rng, painter, part & whole, parent=number)

    def _photograph(self, rng: np.random.Generator, canvas: "_Canvas", gloss: float) -> Scene:
        image, labels = canvas.image, canvas.labels
        if gloss and rng.random() < 0.5:
            clutter.sprinkle_reflections(rng, image, gloss)
        if rng.random() < 0.15:
            clutter.write_lines(rng, image)
        if rng.random() < 0.12:
            image, labels = camera.bend(rng, image, labels)
        image = camera.expose(rng, image)
        if rng.random() < 0.12:
            shown = camera.frame(rng, self._side)
            image, labels = image * shown[..., None], labels * shown
        picture = camera.develop(rng, image)
        if rng.random() < 0.3:
            empty = camera.padding(rng, self._side)
            picture = np.where(empty[..., None], np.array(PADDING_RGB, dtype=np.uint8), picture)
            labels = np.where(empty, np.uint8(0), labels)
        labels, parents = _keep_visible(labels, canvas.parents, self._min_area)
        return Scene(picture, labels, parents)


@dataclass
class _Canvas:
    """A scene being drawn: the picture, the object of each pixel, and the parent of each object."""

    image: FloatArray
    labels: NDArray[np.uint8]
    parents: list[int]

    def add(self, rng: np.random.Generator, painter: ObjectPainter, shape: BoolArray, parent: int) -> int:
        """Paint an object over all others; return its number, or 0 if it lies outside the picture."""
        if not shape.any():
            return 0
        painter.paint(rng, self.image, shape)
        self.labels[shape] = len(self.parents)
        self.parents.append(parent)
        return len(self.parents) - 1


def _keep_visible(
    labels: NDArray[np.uint8], parents: list[int], min_area: float
) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """Number objects that are large enough from 1; smaller parts join their whole, smaller objects the background."""
    areas = np.bincount(labels.ravel(), minlength=len(parents))
    whole_areas = areas.copy()
    np.add.at(whole_areas, parents, areas)
    renumber = np.zeros(len(parents), dtype=np.uint8)
    kept_parents = [0]
    # A whole is always numbered before its parts.
    for number in range(1, len(parents)):
        parent = int(renumber[parents[number]])
        if whole_areas[number] >= min_area * labels.size:
            renumber[number] = len(kept_parents)
            kept_parents.append(parent)
        else:
            renumber[number] = parent
    return renumber[labels], tuple(kept_parents)
