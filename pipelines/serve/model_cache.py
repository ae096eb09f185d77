"""A cache of models: adapters share one base, and of whole models the most recently used are kept."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from naslora_core.adapted.saved import read_adapter_config, trains_base
from naslora_core.adapted.switching import SwitchableSam
from naslora_core.config import ModelConfig
from naslora_core.predict import Predictor
from naslora_core.sam.inference import PLAIN, Inference
from pipelines.serve.offers import Offer

_Key = tuple[str, tuple[int, int]]


class ModelCache:
    """Loads models on request, and keeps the most recently used; for use by one thread.

    The base is in memory once, for itself and for all adapters that leave its own weights alone. Any other model is
    a whole SAM.

    Args:
        model: the base.
        limit: how many whole models are kept, and how many adapters.
        inference: how all of them are used.
    """

    def __init__(self, model: ModelConfig, limit: int, inference: Inference = PLAIN) -> None:
        self._model, self._limit, self._inference = model, limit, inference
        self._whole: OrderedDict[_Key, Predictor] = OrderedDict()
        self._adapters: OrderedDict[_Key, str] = OrderedDict()

    @contextmanager
    def predictor(self, offer: Offer) -> Iterator[Predictor]:
        """Yield the predictor of a model for a `with` block; the next block may reuse the object for another model.

        Raises:
            CheckpointError: if files are missing, damaged or of another version, or belong to another base.
            OSError: if the model vanished since it was offered.
        """
        key = (offer.name, offer.version())
        if offer.kind == "base":
            with self._shared.disable_adapter():
                yield self._shared_predictor
        elif key in self._adapters or (key not in self._whole and _can_share(offer)):
            self._activate(key, offer)
            yield self._shared_predictor
        else:
            yield self._load_whole(key, offer)

    @cached_property
    def _shared(self) -> SwitchableSam:
        return SwitchableSam(self._model)

    @cached_property
    def _shared_predictor(self) -> Predictor:
        return Predictor(self._shared.sam, self._model.precision, inference=self._inference)

    def _activate(self, key: _Key, offer: Offer) -> None:
        if key not in self._adapters:
            name = f"{offer.name} {key[1]}"
            self._shared.load_adapter(name, offer.folder)
            self._adapters[key] = name
        self._adapters.move_to_end(key)
        self._shared.set_adapter(self._adapters[key])
        while len(self._adapters) > self._limit:
            self._shared.delete_adapter(self._adapters.popitem(last=False)[1])

    def _load_whole(self, key: _Key, offer: Offer) -> Predictor:
        if key not in self._whole:
            # Before the new one is loaded, so that there is never one more than allowed.
            while len(self._whole) >= self._limit:
                self._whole.popitem(last=False)
            if offer.kind == "merged":
                precision, inference = self._model.precision, self._inference
                self._whole[key] = Predictor.merged(offer.folder, precision, inference=inference)
            else:
                self._whole[key] = Predictor.adapted(offer.folder, self._model, self._inference)
        self._whole.move_to_end(key)
        return self._whole[key]


def _can_share(offer: Offer) -> bool:
    return offer.kind == "adapter" and not trains_base(offer.folder, read_adapter_config(offer.folder))
