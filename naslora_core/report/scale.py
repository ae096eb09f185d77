"""At which scale the model sees images, and how wide objects are there: numbers and sentences."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from naslora_core.config import TrainConfig

# More have no room side by side; they come with the thinnest first.
_MOST_CLASSES = 3
_FINER = {"off": 1, "half": 2, "full": 4}


@dataclass(frozen=True)
class ViewInUse:
    """What the model sees of an image, as params.yaml says and the gate's suggestion completes.

    Attributes:
        is_crops: crops of the input's size; else whole images, shrunk or enlarged to it.
        is_chosen: "auto" took what the gate suggests.
        scale: of crops, the input's pixels for one of the image.
        input_px: side of the input.
        cell_px: side of a cell of the model's masks, in pixels of the input.
        stock_cell_px: the same of a SAM without a finer mask.
        suggestion: the gate's, with view and reason.
        classes: of widths.json, the three thinnest.
    """

    is_crops: bool
    is_chosen: bool
    scale: float
    input_px: int
    cell_px: float
    stock_cell_px: int
    suggestion: Mapping[str, Any]
    classes: Sequence[Mapping[str, Any]]

    def widths(self, one: Mapping[str, Any]) -> list[tuple[float, float]]:
        """Return (width in pixels of the input, share of what is marked) of a class in this view."""
        return [(width * self.scale, share) for width, share in one["native"]] if self.is_crops else one["whole"]

    def sentences(self) -> list[str]:
        """Say what the model sees, who chose that and why, and how wide objects are then."""
        enlarged = "the images' own scale" if self.scale == 1 else f"{self.scale:g} times the images' own scale"
        whole = f"whole images at {self.input_px} pixels a side"
        seen = f"crops of {self.input_px} pixels at {enlarged}" if self.is_crops else whole
        view = "crops" if self.is_crops else "whole"
        chosen = f"train.view: auto chose {view}" if self.is_chosen else f"train.view: {view}"
        said = [f"The model sees {seen} ({chosen}).", f"The gate suggests {self.suggestion['reason']}."]
        finer = "" if self.cell_px == self.stock_cell_px else f", of the finer masks in use {self.cell_px:g}"
        cell = f"A cell of SAM's masks is {self.stock_cell_px} pixels wide{finer}."
        return [*said, *(self._widths_in_words(one) for one in self.classes), cell]

    def _widths_in_words(self, one: Mapping[str, Any]) -> str:
        tenth, half = (self._up_to(one, share) for share in (0.1, 0.5))
        return (
            f"Of what training masks mark as {one['name']} ({one['objects']:,} objects), a tenth lies in objects "
            f"{tenth}, half in objects {half}."
        )

    def _up_to(self, one: Mapping[str, Any], share: float) -> str:
        seen, whole = (_quantile(widths, share) for widths in (self.widths(one), one["whole"]))
        return f"up to {seen:.1f} pixels wide" + (f" ({whole:.1f} in whole images)" if self.is_crops else "")


def view_in_use(suggestion: Mapping[str, Any], scale: Mapping[str, Any], train: TrainConfig) -> ViewInUse:
    """Return what the model sees.

    Args:
        suggestion: view.json of the gate.
        scale: widths.json of the gate.
        train: what the model was trained with.
    """
    is_chosen = train.view == "auto"
    automatic = "half" if suggestion["needs_detail"] else "off"
    finer = _FINER[automatic if train.detail == "auto" else train.detail]
    return ViewInUse(
        is_crops=(suggestion["view"] if is_chosen else train.view) == "crops",
        is_chosen=is_chosen,
        scale=train.scale,
        input_px=scale["input_px"],
        cell_px=scale["cell_px"] / finer,
        stock_cell_px=scale["cell_px"],
        suggestion=suggestion,
        classes=scale["classes"][:_MOST_CLASSES],
    )


def _quantile(widths: Sequence[tuple[float, float]], share: float) -> float:
    """Return the width up to which objects have that share of what is marked."""
    reached = itertools.accumulate(share for _, share in widths)
    # Shares were rounded, so that their sum may stay below 1.
    return next((width for (width, _), sum_ in zip(widths, reached, strict=True) if sum_ >= share), widths[-1][0])
