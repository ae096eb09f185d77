"""What a mask decoder may have beyond upstream's: classes, a detail path, and the scale it was trained at."""

from dataclasses import dataclass
from typing import Any

from naslora_core.sam.classes import class_count, set_class_count
from naslora_core.sam.detail import Detail, add_detail_path, detail_of
from naslora_core.sam.families.model import Sam


@dataclass(frozen=True)
class MaskHead:
    """The head of a segmenter.

    Attributes:
        classes: K, beside the background.
        detail: the resolution of its masks, if that is finer than SAM's.
        scale: pixels of the model's input for one of the image, of a model that was trained on crops; None means
            that whole images are shrunk to the input.
    """

    classes: int = 1
    detail: Detail = "off"
    scale: float | None = None

    def notes(self) -> dict[str, Any]:
        """Return the head as JSON files hold it; what is as in upstream's SAM is left out, but for the classes."""
        notes: dict[str, Any] = {"classes": self.classes}
        notes |= {"detail": self.detail} if self.detail != "off" else {}
        return notes | ({"scale": self.scale} if self.scale is not None else {})


def set_head(sam: Sam, head: MaskHead, seed: int = 0) -> None:
    """Give the mask decoder of a pre-trained SAM a head, in place; `seed` is that of a fresh detail path."""
    set_class_count(sam, head.classes)
    add_detail_path(sam, head.detail, seed)
    # With the decoder, so that whoever exchanges that exchanges all three.
    sam.mask_decoder.scale = head.scale


def head_of(sam: Sam) -> MaskHead:
    """Return the head of a model."""
    return MaskHead(class_count(sam), detail_of(sam), getattr(sam.mask_decoder, "scale", None))
