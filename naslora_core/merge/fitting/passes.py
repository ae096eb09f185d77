"""Passes of calibration images through a model that is merged layer by layer, from its first one on."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy

import torch
from torch import Tensor, nn

from naslora_core.merge.fitting.moments import input_of
from naslora_core.sam.build import Sam
from naslora_core.sam.families.vit_encoder import ViTEncoder
from naslora_core.sam.segmenter import PromptFreeSegmenter

# Of one model, what its batches have become is kept up to this; the rest begins at the images again.
_KEPT_BYTES = 2**27


class Passes:
    """What layers of a model see of some images.

    Every pass begins at the block that the one before has reached, as long as layers are asked for in the order of the
    model and only what they have seen before is changed in between. So fitting all layers takes one pass, not one a
    layer. Of encoders that are no plain sequence of blocks, only what reaches the neck is known again.

    Args:
        model: whose layers are asked for.
        images: batches (B, 3, S, S) uint8; iterated once for each layer.
        precision: in which the model sees them: "auto", "fp32" or "bf16".

    Attributes:
        model: as given.
    """

    def __init__(self, model: Sam, images: Iterable[Tensor], precision: str = "fp32") -> None:
        self._images, self._precision = images, precision
        # By batch: a place among the stations, which are the blocks and the neck's first layer, and what came there.
        self._reached: dict[int, tuple[int, Tensor]] = {}
        self._set_model(model)

    def _set_model(self, model: Sam) -> None:
        self.model, encoder = model, model.image_encoder
        self._blocks = list(encoder.blocks) if isinstance(encoder, ViTEncoder) else []
        self._stations = [*self._blocks, next(encoder.neck.children())]

    def through(self, model: Sam) -> "Passes":
        """Return passes that go on in another model, which is the same as this one in what they have seen."""
        others = copy(self)
        others._reached = dict(self._reached)
        others._set_model(model)
        return others

    @torch.no_grad()
    def inputs_of(self, layer: nn.Module) -> Iterator[Tensor]:
        """Yield the input of a layer for every batch, float32."""
        homes = (place for place, station in enumerate(self._stations) if layer in set(station.modules()))
        place = next(homes, None)
        for number, images in enumerate(self._images):
            start, known = self._reached.get(number, (0, None))
            if place is None or start > place:
                start, known = 0, None
            elif known is not None and start == len(self._blocks):
                yield known.float()
                continue
            with self._beginning_at(start, known), self._recording(place, number):
                x = input_of(layer, PromptFreeSegmenter(self.model), images, self._precision)
            yield x

    @contextmanager
    def _beginning_at(self, start: int, known: Tensor | None) -> Iterator[None]:
        """Leave out the blocks before one whose input is known."""
        if known is None:
            yield
            return
        encoder = self.model.image_encoder
        hook = self._blocks[start].register_forward_pre_hook(lambda *_: (known,))
        encoder.blocks = nn.ModuleList(self._blocks[start:])
        try:
            yield
        finally:
            encoder.blocks = nn.ModuleList(self._blocks)
            hook.remove()

    @contextmanager
    def _recording(self, place: int | None, number: int) -> Iterator[None]:
        """Keep the input of a station for the passes that follow."""
        if place is None:
            yield
            return

        def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if (number + 1) * inputs[0].numel() * inputs[0].element_size() <= _KEPT_BYTES:
                self._reached[number] = place, inputs[0]

        hook = self._stations[place].register_forward_pre_hook(keep)
        try:
            yield
        finally:
            hook.remove()
