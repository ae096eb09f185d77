"""Suggest at which scale a model should see a dataset, from the widths of the objects in its training masks.

Objects count by the pixels they have, and every image alike, as scores do: by number, specks of noise would decide
(in the training masks of soybean-rust 11 % of the regions are 5 px wide or less, with 0.8 % of the pixels); by pixels
alone, the images with the largest objects would.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.view import SuggestedView, View
from naslora_core.quality.measure_file import widths_column
from naslora_core.quality.scale.widths import unpack_widths

# Masks of a SAM have a quarter of its input's resolution.
CELL_PX = 4
# Averaged over cells and cut at the best threshold, discs two cells wide keep a Dice of 0.94, of one cell 0.67; lines
# 0.98 and 0.92.
THIN_PX = 2 * CELL_PX
# Crops cost no time, so a tenth of what is marked is reason enough for them.
_CROPS_FROM, _THIN_FROM = 0.10, 0.25
# Below this a detail path was worth more than the half again of a step's time that it costs, see docs/method.md.
DETAIL_PX = 4 * CELL_PX
# By how much the images must be larger than the input for crops to show objects clearly wider.
_CLEARLY_WIDER = 1.25
# Of a crop: what is mostly wider than that is understood by what surrounds it, which a crop leaves out.
_LARGE = 0.5


@dataclass(frozen=True)
class ClassWidths:
    """The objects of one class in the training masks, one entry for each width in each mask.

    Attributes:
        name: of the class.
        native_px: widths at the images' own scale, (N,) float64.
        model_px: the same where the longer side of an image is the model's input, (N,) float64.
        weights: of the marked pixels, each image alike, (N,) float64 with the sum 1.
        objects: how many, (N,) float64.
    """

    name: str
    native_px: np.ndarray
    model_px: np.ndarray
    weights: np.ndarray
    objects: np.ndarray

    @property
    def thin_share(self) -> float:
        """How much of what is marked is narrower than two mask cells at model size, 0..1."""
        return float(self.weights[self.model_px < THIN_PX].sum())


def widths_by_class(table: pd.DataFrame, card: DatasetCard, input_px: int) -> list[ClassWidths]:
    """Return the widths of each class that the training masks have, from the gate's table.

    Args:
        table: see `quality.table`.
        card: the classes.
        input_px: side of the model's input.
    """
    rows = table[(table["split"] == "train") & table["mask_width"].notna()]
    scale = input_px / rows[["mask_width", "mask_height"]].max(axis=1).to_numpy(dtype=np.float64)
    found = []
    for name in card.classes:
        mask, native_px, objects, pixels = unpack_widths(rows[widths_column(name)].fillna("").tolist()).T
        if len(mask):
            mask = mask.astype(np.int64)
            weights = pixels / np.bincount(mask, weights=pixels)[mask]
            found.append(ClassWidths(name, native_px, native_px * scale[mask], weights / weights.sum(), objects))
    return found


def suggest_view(table: pd.DataFrame, card: DatasetCard, input_px: int) -> SuggestedView:
    """Suggest how a model should see a dataset, by its training images.

    "crops" where shrinking makes at least a tenth of what a class marks narrower than two mask cells, and the images'
    own scale shows that clearly wider; unless most of that class is too wide for a crop. Objects are thin where a
    quarter of a class is narrower than two cells in the suggested view, too, and need a detail path where the thinnest
    tenth is narrower than four. Of several classes the one that needs it decides.

    Args:
        table: measurements, see `quality.table`.
        card: of the dataset.
        input_px: side of the model's input.
    """
    classes = widths_by_class(table, card, input_px)
    if not classes:
        return SuggestedView(
            view="whole", has_thin_objects=False, needs_detail=False, reason="whole: no training image has an object"
        )
    several = len(card.classes) > 1
    needing = [one for one in classes if _needs_crops(one, input_px)]
    view: View = "crops" if needing else "whole"
    thinnest = thinnest_first(needing or classes)[0]
    thin = max(_share_below(one, view == "crops") for one in classes)
    narrowest = min(_tenth(_seen_px(one, view == "crops"), one.weights) for one in classes)
    return SuggestedView(
        view=view,
        has_thin_objects=thin >= _THIN_FROM,
        needs_detail=thin >= _THIN_FROM or narrowest < DETAIL_PX,
        reason=f"{view}: {_why(thinnest, input_px, several)}{_but(thinnest, input_px, view)}{_and_so(thin, narrowest)}",
    )


def thinnest_first(classes: Sequence[ClassWidths]) -> list[ClassWidths]:
    """Return the classes by how much of them is thin at model size, and by how thin, the thinnest first."""
    return sorted(classes, key=lambda one: (-one.thin_share, _tenth(one.model_px, one.weights)))


def _needs_crops(one: ClassWidths, input_px: int) -> bool:
    return one.thin_share >= _CROPS_FROM and _is_wider_in_crops(one) and not _is_large(one, input_px)


def _is_wider_in_crops(one: ClassWidths) -> bool:
    return _tenth(one.native_px, one.weights) >= _CLEARLY_WIDER * _tenth(one.model_px, one.weights)


def _is_large(one: ClassWidths, input_px: int) -> bool:
    return _quantile(one.native_px, one.weights, 0.5) > _LARGE * input_px


def _share_below(one: ClassWidths, is_crop: bool) -> float:
    return float(one.weights[_seen_px(one, is_crop) < THIN_PX].sum())


def _seen_px(one: ClassWidths, is_crop: bool) -> np.ndarray:
    return one.native_px if is_crop else one.model_px


def _why(one: ClassWidths, input_px: int, is_one_of_several: bool) -> str:
    native, model = (_tenth(widths, one.weights) for widths in (one.native_px, one.model_px))
    what = f"objects of class {one.name}" if is_one_of_several else "objects"
    own = f", {native:.1f} px at the images' own scale" if abs(native - model) >= 0.05 else ""
    return f"the thinnest tenth of {what} is {model:.1f} px wide at {input_px} px{own}, and a mask cell is {CELL_PX} px"


def _but(one: ClassWidths, input_px: int, view: View) -> str:
    """Return what speaks against crops of a class that is thin."""
    if view == "crops" or one.thin_share < _CROPS_FROM:
        return ""
    if not _is_wider_in_crops(one):
        return ", but crops would hardly show them wider"
    return f", but half of what is marked is too wide for crops (above {_LARGE * input_px:.0f} px)"


def _and_so(thin_share: float, narrowest_px: float) -> str:
    """Return why masks are to be refined."""
    if thin_share >= _THIN_FROM:
        return f"; {int(100 * thin_share)} % of what is marked stays thinner than two cells"
    return "; narrower than four cells, it gains from a detail path" if narrowest_px < DETAIL_PX else ""


def _tenth(widths: np.ndarray, weights: np.ndarray) -> float:
    return _quantile(widths, weights, 0.1)


def _quantile(widths: np.ndarray, weights: np.ndarray, share: float) -> float:
    """Return the width up to which objects have that share of the weight."""
    order = np.argsort(widths, kind="stable")
    # The sum of all weights may be a rounding error below 1.
    reached = np.cumsum(weights[order]) >= share * weights.sum() - 1e-9
    return float(widths[order][int(np.argmax(reached))])
