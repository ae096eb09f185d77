"""Which view is suggested of which objects, and why."""

import numpy as np
import pandas as pd
import pytest

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.view import SuggestedView
from naslora_core.quality.scale.view import suggest_view
from naslora_core.quality.scale.widths import pack_widths
from tests.naslora_core.quality.flawless import CARD

TWO = CARD.model_copy(update={"classes": ("field", "path"), "mask_threshold": None,
                              "mask_values": {"field": (1,), "path": (2,)}})  # fmt: skip
Objects = list[tuple[float, int]]  # Width in px, and how many pixels it has.


def table(size: tuple[int, int], masks: list[Objects], card: DatasetCard = CARD, split: str = "train") -> pd.DataFrame:
    """Return what of the gate's table matters here; of several classes all but the last have nothing."""
    packed = [pack_widths(*np.array(one, dtype=float).T) if one else "" for one in masks]
    frame = pd.DataFrame({"split": split, "mask_width": size[0], "mask_height": size[1]}, index=range(len(masks)))
    return frame.assign(**dict.fromkeys((f"widths_{name}" for name in card.classes), "")).assign(
        **{f"widths_{card.classes[-1]}": packed}
    )


def suggested(size: tuple[int, int], *masks: Objects, input_px: int = 256) -> SuggestedView:
    return suggest_view(table(size, list(masks)), CARD, input_px)


def test_lines_that_shrinking_takes_below_a_cell_ask_for_crops_and_finer_masks() -> None:
    found = suggested((480, 320), [(2, 500)], [(2, 300), (4, 300)])
    assert (found.view, found.has_thin_objects) == ("crops", True)
    assert found.reason == (
        "crops: the thinnest tenth of objects is 1.1 px wide at 256 px, 2.0 px at the images' own scale, and a mask "
        "cell is 4 px; 100 % of what is marked stays thinner than two cells"
    )


def test_large_objects_stay_whole() -> None:
    found = suggested((352, 352), [(128, 6000)], [(32, 900)])
    assert (found.view, found.has_thin_objects) == ("whole", False)
    assert found.reason.startswith("whole: the thinnest tenth of objects is 23.3 px wide at 256 px")


def test_small_objects_of_large_images_ask_for_crops_alone() -> None:
    found = suggested((4000, 3000), [(40, 1200)])
    assert (found.view, found.has_thin_objects) == ("crops", False)
    assert "stays thinner" not in found.reason


def test_objects_narrower_than_four_cells_ask_for_a_detail_path() -> None:
    narrow, wide = suggested((256, 256), [(12, 500)]), suggested((256, 256), [(20, 500)])
    assert (narrow.has_thin_objects, narrow.needs_detail, wide.needs_detail) == (False, True, False)
    assert narrow.reason.endswith("; narrower than four cells, it gains from a detail path")
    assert "detail" not in wide.reason
    assert suggested((480, 320), [(2, 500)]).needs_detail


def test_images_hardly_larger_than_the_input_stay_whole_however_thin_objects_are() -> None:
    for size in ((200, 150), (256, 256), (300, 300)):
        found = suggested(size, [(2, 500)])
        assert (found.view, found.has_thin_objects) == ("whole", True)
        assert "but crops would hardly show them wider" in found.reason


def test_enlarging_small_images_makes_objects_wide_enough() -> None:
    assert suggested((128, 128), [(3, 500)]).has_thin_objects
    assert not suggested((128, 128), [(5, 500)]).has_thin_objects


def test_specks_of_noise_decide_nothing() -> None:
    found = suggested((1280, 1280), [(100, 8000), *[(1, 2)] * 50], [(110, 9000)])
    assert (found.view, found.has_thin_objects) == ("whole", False)


def test_every_image_counts_alike_whatever_it_marks() -> None:
    large, thin = [(120, 11000)], [(2, 300)]
    assert suggested((480, 480), *[large] * 4, thin).view == "crops"
    assert suggested((480, 480), *[large] * 19, thin).view == "whole"


def test_what_is_mostly_wider_than_half_a_crop_stays_whole() -> None:
    found = suggested((1000, 1000), [(200, 40000), (20, 9000)])
    assert found.view == "whole"
    assert "half of what is marked is too wide for crops (above 128 px)" in found.reason


def test_a_larger_input_needs_no_crops() -> None:
    assert suggested((480, 320), [(2, 500)], input_px=1024).view == "whole"


def test_of_several_classes_the_one_that_needs_it_decides() -> None:
    measured = table((1000, 1000), [[(8, 3000)]], TWO)
    measured["widths_field"] = pack_widths(np.array([300.0]), np.array([90000]))
    found = suggest_view(measured, TWO, 256)
    assert (found.view, found.has_thin_objects) == ("crops", False)
    assert "the thinnest tenth of objects of class path is 2.0 px" in found.reason
    without = suggest_view(measured.assign(widths_path=""), TWO, 256)
    assert (without.view, without.has_thin_objects) == ("whole", False)


def test_validation_and_test_images_decide_nothing() -> None:
    train, other = table((480, 320), [[(60, 4000)]]), table((480, 320), [[(1, 90)]] * 5, split="test")
    assert suggest_view(pd.concat([train, other]), CARD, 256) == suggest_view(train, CARD, 256)


@pytest.mark.parametrize("masks", [[], [[], []]])
def test_without_objects_images_stay_whole(masks: list[Objects]) -> None:
    found = suggest_view(table((480, 320), masks), CARD, 256)
    assert found == SuggestedView(
        view="whole", has_thin_objects=False, needs_detail=False, reason="whole: no training image has an object"
    )


def test_masks_that_could_not_be_read_are_left_out() -> None:
    measured = table((480, 320), [[(60, 4000)]])
    broken = measured.assign(mask_width=pd.NA, mask_height=pd.NA, widths_disc=pd.NA)
    assert suggest_view(pd.concat([measured, broken]), CARD, 256) == suggest_view(measured, CARD, 256)
