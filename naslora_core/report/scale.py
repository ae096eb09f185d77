"""At which scale the model sees images, and how wide objects are there: numbers and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from naslora_core.config import TrainConfig

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
        classes: of widths.json.
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
        """Say what the model sees, who chose that and why, and how much is too thin then."""
        enlarged = "the images' own scale" if self.scale == 1 else f"{self.scale:g} times the images' own scale"
        whole = f"whole images at {self.input_px} pixels a side"
        seen = f"crops of {self.input_px} pixels at {enlarged}" if self.is_crops else whole
        view = "crops" if self.is_crops else "whole"
        chosen = f"train.view: auto chose {view}" if self.is_chosen else f"train.view: {view}"
        said = [f"The model sees {seen} ({chosen}).", f"The gate suggests {self.suggestion['reason']}."]
        return [*said, *(self._thin(one) for one in self.classes)]

    def _thin(self, one: Mapping[str, Any]) -> str:
        limit = 2 * self.stock_cell_px
        seen, whole = (_share_below(limit, widths) for widths in (self.widths(one), one["whole"]))
        instead = f", where whole images would have {_percent(whole)}" if self.is_crops else ""
        return (
            f"Of what masks mark as {one['name']} ({one['objects']:,} objects), {_percent(seen)} lies in objects "
            f"narrower than {limit} pixels, two cells of SAM's mask{instead}."
        )


def view_in_use(suggestion: Mapping[str, Any], scale: Mapping[str, Any], train: TrainConfig) -> ViewInUse:
    """Return what the model sees.

    Args:
        suggestion: view.json of the gate.
        scale: widths.json of the gate.
        train: what the model was trained with.
    """
    is_chosen = train.view == "auto"
    automatic = "half" if suggestion["has_thin_objects"] else "off"
    finer = _FINER[automatic if train.detail == "auto" else train.detail]
    return ViewInUse(
        is_crops=(suggestion["view"] if is_chosen else train.view) == "crops",
        is_chosen=is_chosen,
        scale=train.scale,
        input_px=scale["input_px"],
        cell_px=scale["cell_px"] / finer,
        stock_cell_px=scale["cell_px"],
        suggestion=suggestion,
        classes=scale["classes"],
    )


def _share_below(limit_px: float, widths: Sequence[tuple[float, float]]) -> float:
    return sum(share for width, share in widths if width < limit_px)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
