"""Merge every layer in its own way: exactly where that is possible, else calibrated or folded."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from naslora_core.adapted.state import find_adapters
from naslora_core.adapters import LowRankAdapter
from naslora_core.errors import MergeError
from naslora_core.merge.by_layer import LayerMerge
from naslora_core.merge.calibrated import CalibrationImages, FittedLayer, calibrated_note, fit_layers
from naslora_core.merge.context import MergeContext
from naslora_core.merge.exact import exact_layer, exact_note
from naslora_core.merge.fitting.neck import refit_neck
from naslora_core.merge.fitting.passes import Passes
from naslora_core.merge.fold import fold_layer
from naslora_core.merge.layers import LoRAFactors, Merged, with_layers
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import PromptFreeSegmenter

# On so few images a layer's effect is ordered; the choice itself is made on the validation images.
_PROBES = 8


@dataclass(frozen=True)
class _Exact:
    layer: nn.Linear
    factors: LoRAFactors | None


class LayerwiseMerge:
    """The merges of one adapted model that differ only in which of its layers are folded.

    What they share is computed once: the exact layers, and the matrices of calibrated ones, each fitted to what it
    sees behind the exact and calibrated layers before it. Fitting them anew behind folded ones gave the same Dice.

    Args:
        sam: stays untouched.
        context: training images, and how to fit to them.

    Attributes:
        why_not_exact: the first layer that does not merge exactly, and why; None if all do.

    Raises:
        MergeError: if a layer can neither be merged exactly nor calibrated.
    """

    def __init__(self, sam: Sam, context: MergeContext) -> None:
        self._sam, self._context = sam, context
        self._exact: dict[str, _Exact] = {}
        self._spatial: list[str] = []
        self.why_not_exact: str | None = None
        for name, adapter in find_adapters(sam).items():
            try:
                self._exact[name] = _Exact(*exact_layer(adapter))
            except MergeError as error:
                if not isinstance(adapter, LowRankAdapter):
                    raise MergeError(f"{name} cannot be merged: {error}") from error
                self.why_not_exact = self.why_not_exact or f"{name}: {error}"
                self._spatial.append(name)

    def merge(self, folded: Collection[str] = ()) -> Merged:
        """Return a merged copy in which some layers are folded, and the others exact or calibrated.

        Args:
            folded: names of layers out of `fold_order()`.
        """
        calibrated = [name for name in self._spatial if name not in folded]
        layers = {name: exact.layer for name, exact in self._exact.items()}
        layers |= {name: self._folds[name] for name in folded}
        layers |= {name: self._fitted[name].layer for name in calibrated}
        sam = with_layers(self._sam, layers)
        if calibrated and not folded:
            # Beside folded layers it gained nothing: of eight layers of a trained model, with 1, 2 and 4 folded, the
            # loss of Dice was 0.017, 0.013 and 0.004 without it, 0.019, 0.018 and 0.006 with it.
            passes = self._passes.through(sam)
            refit_neck(sam, self._sam, self._images, self._context.config.ridge, self._context.precision, passes)
        factors = {name: exact.factors for name, exact in self._exact.items()}
        factors |= {name: self._fitted[name].factors for name in calibrated}
        known = {name: update for name, update in factors.items() if update is not None}
        order = [name for name in find_adapters(self._sam) if name in known]
        complete = {name: known[name] for name in order} if len(known) == len(layers) else {}
        return Merged(sam, complete, [self._note(name, folded) for name in find_adapters(self._sam)])

    def fold_order(self) -> list[str]:
        """Return the layers that can be folded, first those whose calibration changes the logits most."""
        return sorted(self._folds, key=lambda name: -self._effects[name])

    @cached_property
    def _images(self) -> CalibrationImages:
        return CalibrationImages(self._context.training, self._context.config.calibration_images, self._sam.device)

    @cached_property
    def _passes(self) -> Passes:
        """Passes through the model of exact and, as soon as they are fitted, calibrated layers."""
        return Passes(self._with_exact_layers(), self._images, self._context.precision)

    @cached_property
    def _fitted(self) -> dict[str, FittedLayer]:
        context = self._context
        return fit_layers(self._passes.model, self._spatial, self._passes, context.config.ridge, context.progress)

    @cached_property
    def _folds(self) -> dict[str, nn.Linear]:
        found = {}
        for name in self._spatial:
            adapter = self._sam.get_submodule(name)
            assert isinstance(adapter, LowRankAdapter)
            try:
                found[name] = fold_layer(adapter)
            except MergeError:
                continue
        return found

    @cached_property
    def _effects(self) -> dict[str, float]:
        """By layer, the root mean square by which it changes the logits when it alone is calibrated, over theirs."""
        probes = next(iter(CalibrationImages(self._context.training, _PROBES, self._sam.device)))
        sam = self._with_exact_layers()
        wanted = _logits(sam, probes)
        effects = {}
        for name, fitted in self._fitted.items():
            adapter = sam.get_submodule(name)
            sam.set_submodule(name, fitted.layer)
            change = (_logits(sam, probes) - wanted).square().mean() / wanted.square().mean()
            effects[name] = float(change.sqrt())
            sam.set_submodule(name, adapter)
        return effects

    def _with_exact_layers(self) -> Sam:
        return with_layers(self._sam, {name: exact.layer for name, exact in self._exact.items()})

    def _note(self, name: str, folded: Collection[str]) -> LayerMerge:
        if name in self._exact:
            return exact_note(name)
        # Effects are there only if folding was considered.
        effect = self.__dict__.get("_effects", {}).get(name)
        if name not in folded:
            return calibrated_note(name, self._fitted[name]).model_copy(update={"effect": effect})
        assert effect is not None
        return LayerMerge(
            layer=name,
            merge="fold",
            reason=f"calibrated, it alone would change the logits by {100 * effect:.2g} %",
            unexplained=self._fitted[name].unexplained,
            effect=effect,
        )


@torch.no_grad()
def _logits(sam: Sam, images: Tensor) -> Tensor:
    return PromptFreeSegmenter(sam)(images)
