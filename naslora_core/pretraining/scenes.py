"""Turn procedural scenes into batches of images, prompts and target masks."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.utils.data import Dataset

from naslora_core.data.synthetic.scenes import Scene, SceneGenerator

# 20 pixels of 1024, as SAM was trained.
LARGEST_JITTER_PX = 5.0


@dataclass(frozen=True)
class PromptedScenes:
    """A batch of B scenes with P prompted objects each.

    Attributes:
        images: (B, 3, S, S) uint8, RGB.
        masks: (B, P, S, S) bool, the visible part of each prompted object.
        points: (B, P, 2) float32, XY pixels, inside the object.
        boxes: (B, P, 4) float32, XYXY pixels.
        origin: row and column, in pixels, at which scenes smaller than the model's input are put into it.
    """

    images: Tensor
    masks: Tensor
    points: Tensor
    boxes: Tensor
    origin: tuple[int, int] = (0, 0)


class PromptedSceneDataset(Dataset[PromptedScenes]):
    """A dataset whose items are whole batches, so that a loader's worker makes them.

    Args:
        generator: draws the scenes.
        batch_count: number of batches.
        batch_size: scenes a batch.
        prompts: objects a scene; one object may be prompted several times.
        centred: put the point where the object is widest, as SAM is evaluated; else anywhere inside.
        jitter: deviation of the sides of a box, as a share of its width and height; at most `LARGEST_JITTER_PX`.
        origins: one of these is drawn for every batch.

    Source: arXiv:2304.02643, Appendix A, "Training algorithm", for the jitter.
    """

    def __init__(
        self,
        generator: SceneGenerator,
        batch_count: int,
        batch_size: int,
        prompts: int,
        centred: bool,
        jitter: float,
        origins: tuple[tuple[int, int], ...] = ((0, 0),),
    ) -> None:
        self._generator = generator
        self._batch_count = batch_count
        self._batch_size = batch_size
        self._prompts = prompts
        self._centred = centred
        self._jitter = jitter
        self._origins = origins

    def __len__(self) -> int:
        return self._batch_count

    def __getitem__(self, index: int) -> PromptedScenes:
        rng = np.random.default_rng(index)
        scenes: list[tuple[Tensor, ...]] = []
        number = index * self._batch_size * 2
        while len(scenes) < self._batch_size:
            scene = self._generator.draw(number)
            number += 1
            # A scene whose objects all fell outside the frame teaches nothing.
            if scene.object_count:
                scenes.append(self._prompt(rng, scene))
        images, masks, points, boxes = (torch.stack(part) for part in zip(*scenes, strict=True))
        return PromptedScenes(images, masks, points, boxes, self._origins[rng.integers(len(self._origins))])

    def _prompt(self, rng: np.random.Generator, scene: Scene) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        order = rng.permutation(scene.object_count)
        chosen = [int(order[i % len(order)]) + 1 for i in range(self._prompts)]
        masks = [scene.mask(number) for number in chosen]
        points = [innermost_point(mask) if self._centred else _anywhere(rng, mask) for mask in masks]
        boxes = [_jittered(rng, bounding_box(mask), self._jitter) for mask in masks]
        return (
            torch.from_numpy(scene.image.copy()).permute(2, 0, 1),
            torch.from_numpy(np.stack(masks)),
            torch.tensor(np.stack(points), dtype=torch.float32),
            torch.tensor(np.stack(boxes), dtype=torch.float32),
        )


def _anywhere(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    inside = np.flatnonzero(mask)
    row, column = np.unravel_index(inside[rng.integers(len(inside))], mask.shape)
    return np.array([column, row])


def _jittered(rng: np.random.Generator, box: np.ndarray, jitter: float) -> np.ndarray:
    sides = np.tile(box[2:] - box[:2], 2)
    error = rng.normal(0, 1, size=4) * jitter * sides
    return box + np.clip(error, -LARGEST_JITTER_PX, LARGEST_JITTER_PX)


def innermost_point(mask: np.ndarray) -> np.ndarray:
    """Return x and y of the pixel that is farthest from the edge of a mask (H, W)."""
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), mask.shape)
    return np.array([column, row])


def bounding_box(mask: np.ndarray) -> np.ndarray:
    """Return the bounding box of a non-empty mask (H, W): left, top, right, bottom; the last two exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
