"""Passes of calibration images through a model that is merged layer by layer, from its first one on."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial

import torch
from torch import Tensor, nn

from naslora_core.adapted.held_weights import HeldWeights
from naslora_core.merge.fitting.moments import input_of
from naslora_core.sam.build import Sam
from naslora_core.sam.families.vit_encoder import ViTEncoder
from naslora_core.sam.precision import computing_type
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
        # Only while the model runs: between two batches its layers are fitted.
        self._held = HeldWeights(encoder, computing_type(self._precision, model.device))

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
            with self._held.hold(), self._recording(place, number):
                if known is None:
                    x = input_of(layer, PromptFreeSegmenter(self.model), images, self._precision)
                else:
                    x = input_of(layer, partial(self._go_on, start), known, self._precision)
            yield x

    def _go_on(self, start: int, tokens: Tensor) -> Tensor:
        """Return the embeddings of what has come to a block."""
        encoder = self.model.image_encoder
        encoder.blocks = nn.ModuleList(self._blocks[start:])
        try:
            embeddings: Tensor = encoder.encode_tokens(tokens)
        finally:
            encoder.blocks = nn.ModuleList(self._blocks)
        return embeddings

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
