"""Paint the objects of an image into a mask of class ids, and count what the painting hides or loses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.shapes import Shape
from naslora_core.data.importers.shared.image_files import upright_size
from naslora_core.errors import DataError

# Which of two objects is seen where they overlap: the later one, or the one of fewer pixels.
Order = Literal["listed", "smaller_on_top"]
# An object whose pixels differ from what its file says by more than both was meant to be painted otherwise.
_SHARE, _PIXELS = 0.10, 4


@dataclass(frozen=True, eq=False)
class AnnotatedObject:
    """One object of an image.

    Attributes:
        name: what its file calls it, as in "annotation 17".
        class_id: 1 and up; 0 takes pixels away from the objects below, IGNORED_ID leaves them out.
        shape: its pixels.
        area_px: as its file states it; None if it does not.
    """

    name: str
    class_id: int
    shape: Shape
    area_px: float | None = None


@dataclass(frozen=True, eq=False)
class Painting:
    """What became of the objects of one image.

    Attributes:
        ids: (H, W) uint8 class ids.
        objects: how many there were.
        vanished: names of objects without a pixel.
        differing: names of objects, with the pixels they have and the area that their file states.
        hidden_px: pixels of objects that lie below an object of another class.
        covered: names of objects that change nothing, because others of their class lie below all their pixels.
    """

    ids: np.ndarray
    objects: int
    vanished: tuple[str, ...] = ()
    differing: tuple[tuple[str, int, float], ...] = ()
    hidden_px: int = 0
    covered: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """The mask of one image, painted from its objects when called.

    Attributes:
        file: where the objects are written down, for error messages.
        size: (H, W) of the image, or the image, whose size is then read when it is painted.
        objects: makes the objects when it is their turn.
        order: which object is seen where two overlap.
        left_out: takes the errors of single objects.
    """

    file: Path
    size: tuple[int, int] | Path
    objects: Callable[[], Sequence[AnnotatedObject]]
    order: Order
    left_out: LeftOut = field(default_factory=LeftOut)

    def __call__(self) -> np.ndarray:
        """Return (H, W) uint8 class ids.

        Raises:
            DataError: if a shape is not valid.
        """
        return self.paint().ids

    def paint(self) -> Painting:
        """Paint all objects, and count what came of them.

        Raises:
            DataError: if a shape is not valid, or the image that says the size cannot be opened.
        """
        height, width = upright_size(self.size) if isinstance(self.size, Path) else self.size
        painted = []
        for one in self.objects():
            try:
                patch = one.shape.paint(height, width)
            except DataError as error:
                # Of a shape that is a file of its own, which the error names.
                self.left_out.add(error)
                continue
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                self.left_out.add(DataError(f"{self.file}: {one.name} is no outline: {error}; correct or remove it"))
                continue
            painted.append((int(np.count_nonzero(patch.inside)), one, patch))
        if self.order == "smaller_on_top":
            painted.sort(key=lambda entry: -entry[0])
        ids, hidden, covered = np.zeros((height, width), np.uint8), 0, []
        for pixels, one, (top, left, inside) in painted:
            window = ids[top : top + inside.shape[0], left : left + inside.shape[1]]
            below = window[inside]
            changed = below != one.class_id
            hidden += int(np.count_nonzero(changed & (below > 0)))
            if pixels and not changed.any():
                covered.append(one.name)
            window[inside] = one.class_id
        return Painting(
            ids,
            len(painted),
            tuple(one.name for pixels, one, _ in painted if not pixels),
            tuple(
                (one.name, pixels, one.area_px)
                for pixels, one, _ in painted
                if pixels and one.area_px is not None and _differs(pixels, one.area_px)
            ),
            hidden,
            tuple(covered),
        )


def _differs(pixels: int, stated: float) -> bool:
    return abs(pixels - stated) > max(_SHARE * stated, _PIXELS)
