"""What became of the objects of a whole dataset when they were painted: totals, and a few names of each kind."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from naslora_core.data.importers.base import Found
from naslora_core.data.importers.painting.objects import ObjectMask, Painting

_SHOWN = 5
# OpenCV, which counts in a fraction of the time, returns float32: whole numbers up to here.
_EXACT_PX = 2**24


@dataclass
class PaintReport:
    """Totals over all paintings; lists hold the first few names only.

    Attributes:
        objects: how many were painted.
        vanished: how many have no pixel.
        differing: how many have another area than their file states.
        covered: how many lie wholly on or below others of their class, so that they change nothing.
        hidden_px: pixels of objects that lie below an object of another class.
        pixels: of each class id that occurs, how many pixels it has; 0 is the background.
        images: of each class id, how many images show it.
    """

    objects: int = 0
    vanished: int = 0
    differing: int = 0
    covered: int = 0
    hidden_px: int = 0
    pixels: Counter[int] = field(default_factory=Counter)
    images: Counter[int] = field(default_factory=Counter)
    _examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, image: str, painting: Painting) -> None:
        """Count the objects of the image of a name."""
        self.objects += painting.objects
        self.vanished += len(painting.vanished)
        self.differing += len(painting.differing)
        self.covered += len(painting.covered)
        self.hidden_px += painting.hidden_px
        for class_id, pixels in enumerate(_count_ids(painting.ids)):
            if pixels:
                self.pixels[class_id] += pixels
                self.images[class_id] += 1
        self._show("vanished", (f"{image} {name}" for name in painting.vanished))
        self._show("covered", (f"{image} {name}" for name in painting.covered))
        self._show(
            "differing",
            (f"{image} {name} ({pixels} px, stated {stated:.6g})" for name, pixels, stated in painting.differing),
        )

    def lines(self) -> tuple[str, ...]:
        """Return what a user should know, a sentence each; none if every object came out as its file says."""
        lines = []
        if self.vanished:
            lines.append(f"{self.vanished} of {self.objects} objects have no pixel: {self._named('vanished')}")
        if self.differing:
            lines.append(
                f"{self.differing} of {self.objects} objects differ from the area that their file states by more than "
                f"10 % and 4 px: {self._named('differing')}"
            )
        if self.covered:
            lines.append(
                f"{self.covered} of {self.objects} objects lie wholly within others of their class and change nothing "
                f"(some tools write holes so, which are filled here): {self._named('covered')}"
            )
        if self.hidden_px:
            lines.append(f"{self.hidden_px} px of objects are hidden by objects of other classes")
        return tuple(lines)

    def _show(self, kind: str, names: Iterable[str]) -> None:
        shown = self._examples.setdefault(kind, [])
        shown.extend(name for name, _ in zip(names, range(_SHOWN - len(shown)), strict=False))

    def _named(self, kind: str) -> str:
        more = ", …" if getattr(self, kind) > _SHOWN else ""
        return ", ".join(self._examples[kind]) + more


def _count_ids(ids: np.ndarray) -> list[int]:
    if ids.size > _EXACT_PX:
        return np.bincount(ids.ravel(), minlength=256).tolist()
    return [int(pixels) for pixels in cv2.calcHist([ids], [0], None, [256], [0, 256]).ravel()]


def paint_found(found: Found) -> PaintReport:
    """Paint all masks that are made of objects, one after another, and write none.

    Raises:
        DataError: if a shape or a mask is not valid, and its `left_out` does not take that.
    """
    report = PaintReport()
    for source in found.sources:
        if isinstance(source.mask, ObjectMask):
            with source.mask.left_out.taking():
                report.add(source.name, source.mask.paint())
    return report
