"""The gate on masks with pixels that nobody labelled."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.quality.gate import check_dataset
from naslora_core.quality.measure_file import measure_mask
from naslora_core.quality.offending import write_contact_sheet
from naslora_core.quality.table import measured_by
from naslora_core.quality.verdict import Failure, FileProblem, Verdict
from tests.naslora_core.quality.corpus import draw, draw_mask
from tests.naslora_core.quality.flawless import CARD, QUALITY, write_pairs

IGNORING = CARD.model_copy(update={"mask_ignore": (7,)})
TWO = DatasetCard.model_validate(
    CARD.model_dump()
    | {"classes": ("crop", "weed"), "mask_threshold": None, "mask_values": {"crop": (1,), "weed": (2,)}}
    | {"mask_ignore": (255,)}
)


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def framed() -> np.ndarray:
    """Return 40 x 50 values: a frame of ignored pixels, 5 wide, two crops of 6 and 20 pixels, and 30 of weed."""
    values = np.full((40, 50), 255)
    values[5:-5, 5:-5] = 0
    values[6:8, 6:9], values[20:24, 10:15], values[30:33, 20:30] = 1, 1, 2
    return values


def test_shares_are_of_the_labelled_pixels_and_objects_are_those_of_classes(tmp_path: Path) -> None:
    found = measure_mask(save(tmp_path / "a.png", framed()), TWO)
    labelled = 30 * 40
    assert found["ignored_share"] == 1 - labelled / 2000
    assert found["share_crop"] == 26 / labelled
    assert found["share_weed"] == 30 / labelled
    assert found["foreground_share"] == found["object_share"] == pytest.approx(56 / labelled)
    assert (found["has_crop"], found["has_weed"], found["is_empty"]) == (1, 1, False)
    assert (found["components"], found["smallest_component_px"]) == (3, 6)
    assert found["touches_border"] is False
    assert found["unknown_values"] == ""


def test_a_mask_of_background_and_ignored_pixels_is_empty(tmp_path: Path) -> None:
    found = measure_mask(save(tmp_path / "a.png", np.where(framed() == 255, 255, 0)), TWO)
    assert (found["is_empty"], found["foreground_share"], found["object_share"]) == (True, 0, None)
    assert (found["components"], found["smallest_component_px"]) == (0, None)


def test_an_ignored_grey_is_none_between_two_values(tmp_path: Path) -> None:
    grey = CARD.model_copy(update={"mask_threshold": 1, "mask_ignore": (255,)})
    values = np.where(framed() == 2, 1, framed())
    assert measure_mask(save(tmp_path / "a.png", values), grey)["grey_share"] == 0
    values[20, 20] = 3
    assert measure_mask(save(tmp_path / "b.png", values), grey)["grey_share"] == 56 / 2000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return twelve flawless pairs whose masks have a ring of ignored pixels around the object."""
    root = tmp_path / "corpus"
    write_pairs(root, [f"pair_{index:02d}" for index in range(12)])
    write_card(root, IGNORING)
    for path in root.glob("masks/*"):
        values = np.array(Image.open(path))
        values[:, :4] = 7
        save(path, values)
    return root


def test_masks_with_ignored_pixels_pass(root: Path) -> None:
    verdict, table = check_dataset(root, QUALITY)
    assert verdict.failures == ()
    assert (table["ignored_share"] > 0).all()
    assert len(set(table["ignored_share"])) == 1


def test_a_mask_that_is_ignored_as_a_whole_is_rejected_by_name(root: Path) -> None:
    save(root / "masks/pair_03.png", np.full(draw_mask().shape, 7))
    verdict, table = check_dataset(root, QUALITY)
    assert not verdict.passed
    assert {failure.expectation: failure.severity for failure in verdict.failures} == {"something_labelled": "critical"}
    assert "masks/pair_03.png: has values of mask_ignore only, so it says nothing" in verdict.message()
    row = table.set_index("name").loc["pair_03"]
    assert row["ignored_share"] == 1
    assert row[["foreground_share", "is_empty", "components", "touches_border"]].isna().all()


def test_data_without_ignored_values_is_not_asked_for_them(root: Path) -> None:
    write_card(root, CARD)
    verdict, table = check_dataset(root, QUALITY)
    assert "something_labelled" not in {failure.expectation for failure in verdict.failures}
    assert (table["ignored_share"] == 0).all()


def test_ignored_pixels_are_no_drift_of_the_foreground(root: Path, tmp_path: Path) -> None:
    _, table = check_dataset(root, QUALITY)
    for path in root.glob("masks/*"):
        values = np.array(Image.open(path))
        rows = values.shape[0]
        # Mirrored below itself and the copy ignored: the shares of what is labelled stay what they are.
        save(path, np.concatenate([values, np.full_like(values, 7)]))
        image = root / "images" / path.name
        pixels = np.array(Image.open(image))
        save(image, np.concatenate([pixels, pixels[:rows]]))
    _, now = check_dataset(root, QUALITY)
    pd.testing.assert_series_equal(now["foreground_share"], table["foreground_share"])
    assert (now["ignored_share"] > 0.5).all()


def test_measurements_are_made_anew_when_the_card_says_otherwise_what_is_ignored(root: Path, tmp_path: Path) -> None:
    assert measured_by(IGNORING) != measured_by(CARD)
    _, table = check_dataset(root, QUALITY, cache=tmp_path / "cache.parquet")
    assert (table["ignored_share"] > 0).all()
    write_card(root, CARD)
    _, again = check_dataset(root, QUALITY, cache=tmp_path / "cache.parquet")
    assert (again["ignored_share"] == 0).all()


def test_the_sheet_of_failing_files_shows_ignored_pixels_in_grey(root: Path, tmp_path: Path) -> None:
    problem = FileProblem(file="images/pair_00.png", problem="looks odd")
    failure = Failure(expectation="e", description="d", severity="critical", count=1, files=(problem,))
    verdict = Verdict(dataset="corpus", passed=False, pairs=12, pairs_per_split={}, expectations_expected=1,
                      expectations_run=1, failures=(failure,))  # fmt: skip
    write_contact_sheet(tmp_path / "sheet.png", verdict, read_dataset(root))
    tile = np.asarray(Image.open(tmp_path / "sheet.png"))[2:66, 2:82]
    image = draw(100)
    np.testing.assert_allclose(tile[:, :4], 0.55 * image[:, :4] + 0.45 * 128, atol=1)
    marked = draw_mask() > 0
    marked[:, :4] = True
    np.testing.assert_array_equal(tile[~marked], image[~marked])
