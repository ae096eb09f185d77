"""The gate with the real engine; one file, because importing the engine takes seconds."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from naslora_core.config import QualityConfig, load_params
from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.splits import SPLITS, draw_splits, write_splits
from naslora_core.data.dataset.view import VIEW_FILE, read_view
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.errors import DataError
from naslora_core.quality import gate
from naslora_core.quality.checks import Check
from naslora_core.quality.engine import CheckResult, run_suite
from naslora_core.quality.expectations import build_suite
from naslora_core.quality.gate import check_dataset, judge
from naslora_core.quality.measure import measure_pairs
from naslora_core.quality.verdict import Verdict
from stages import preprocess, validate
from stages.paths import StagePaths

QUALITY = QualityConfig(
    min_pairs=12,
    min_side_px=32,
    min_foreground_share=0.001,
    max_foreground_share=0.9,
    max_empty_mask_share=0.5,
    min_class_images=2,
    min_sharpness=2.0,
    max_clipped_share=0.5,
    near_duplicate_bits=4,
    drift_p_value=0.01,
    drift_min_effect=0.3,
)
CARD = DatasetCard(
    name="discs", title="Discs", classes=("disc",), mask_threshold=128, licence="none", citation="none",
    source="a test", split=SplitRule(kind="random", seed=3, train=0.6, validation=0.2, test=0.2),
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset of 15 flawless pairs of 40 x 56 pixels."""
    folder = tmp_path / "data" / "discs"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    names = [f"disc_{index:02d}" for index in range(15)]
    for index, name in enumerate(names):
        pixels = np.random.default_rng(index).integers(0, 255, (40, 56, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.jpg")
        save_mask(folder, name, 255)
    write_card(folder, CARD)
    write_splits(folder, draw_splits(names, CARD.split))
    return folder


def save_mask(root: Path, name: str, value: int, box: tuple[int, int] = (20, 30), suffix: str = "png") -> None:
    pixels = np.zeros((40, 56), np.uint8)
    pixels[: box[0], : box[1]] = value
    for old in (root / "masks").glob(f"{name}.*"):
        old.unlink()
    Image.fromarray(pixels).save(root / "masks" / f"{name}.{suffix}")


def failed(verdict: Verdict) -> dict[str, tuple[str, list[str]]]:
    return {
        failure.expectation: (failure.severity, [entry.file for entry in failure.files]) for failure in verdict.failures
    }


def test_flawless_data_passes_every_expectation(root: Path) -> None:
    verdict, table = check_dataset(root, QUALITY)
    assert verdict.passed
    assert verdict.failures == ()
    assert verdict.expectations_run == verdict.expectations_expected == len(build_suite(QUALITY, CARD))
    assert verdict.pairs_per_split == {"train": 9, "validation": 3, "test": 3}
    assert len(table) == 15
    assert table.loc[0, "foreground_share"] == pytest.approx(20 * 30 / (40 * 56))
    assert table.loc[0, "image_size"] == "56x40"


def test_a_missing_mask_is_named(root: Path) -> None:
    (root / "masks" / "disc_04.png").unlink()
    verdict, _ = check_dataset(root, QUALITY)
    assert failed(verdict) == {"mask_present": ("critical", ["images/disc_04.jpg"])}
    assert "images/disc_04.jpg: has no mask masks/disc_04.*" in verdict.message()


def test_a_missing_image_is_named(root: Path) -> None:
    (root / "images" / "disc_04.jpg").unlink()
    verdict, _ = check_dataset(root, QUALITY)
    assert failed(verdict) == {"image_present": ("critical", ["masks/disc_04.png"])}


def test_a_mask_of_another_size_is_named_with_both_sizes(root: Path) -> None:
    Image.fromarray(np.eye(40, 50, dtype=np.uint8) * 255).save(root / "masks" / "disc_07.png")
    verdict, _ = check_dataset(root, QUALITY)
    assert failed(verdict) == {"same_size": ("critical", ["masks/disc_07.png"])}
    assert "masks/disc_07.png: is 50x40 pixels, images/disc_07.jpg is 56x40" in verdict.message()


def test_a_truncated_jpeg_is_named_with_the_reason(root: Path) -> None:
    path = root / "images" / "disc_09.jpg"
    path.write_bytes(path.read_bytes()[:-300])
    verdict, _ = check_dataset(root, QUALITY)
    assert failed(verdict) == {"image_opens": ("critical", ["images/disc_09.jpg"])}
    assert "images/disc_09.jpg: cannot be read: image file is truncated" in verdict.message()


def test_several_faults_are_all_told_at_once(root: Path) -> None:
    (root / "masks" / "disc_04.png").unlink()
    (root / "images" / "disc_05.jpg").write_bytes(b"no image")
    Image.fromarray(np.eye(9, dtype=np.uint8) * 255).save(root / "masks" / "disc_06.png")
    noise = np.random.default_rng(99).integers(0, 255, (16, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "images" / "disc_07.jpg")
    verdict, _ = check_dataset(root, QUALITY)
    assert failed(verdict) == {
        "mask_present": ("critical", ["images/disc_04.jpg"]),
        "image_opens": ("critical", ["images/disc_05.jpg"]),
        "same_size": ("critical", ["masks/disc_06.png", "masks/disc_07.png"]),
        "large_enough": ("critical", ["images/disc_07.jpg"]),
    }


def test_nothing_readable_at_all_is_rejected_and_not_passed_for_lack_of_values(root: Path) -> None:
    for path in (*root.glob("images/*"), *root.glob("masks/*")):
        path.write_bytes(b"broken")
    verdict, _ = check_dataset(root, QUALITY)
    assert not verdict.passed
    assert len(failed(verdict)["image_opens"][1]) == 15
    assert len(failed(verdict)["mask_opens"][1]) == 15


def test_masks_in_jpeg_are_reported_and_accepted(root: Path) -> None:
    for index in range(15):
        save_mask(root, f"disc_{index:02d}", 255, box=(21, 30), suffix="jpg")
    verdict, table = check_dataset(root, QUALITY)
    assert (table["grey_share"] > 0).all(), "JPEG has to add values, or this tests nothing"
    assert verdict.passed
    severity, files = failed(verdict)["two_values"]
    assert (severity, len(files)) == ("warning", 15)
    assert "cut at 128" in verdict.message()


def test_masks_of_zero_and_one_do_not_pass_as_empty(root: Path) -> None:
    for index in range(15):
        save_mask(root, f"disc_{index:02d}", 1)
    verdict, _ = check_dataset(root, QUALITY)
    assert failed(verdict)["something_marked"][0] == "critical"
    assert "need mask_threshold: 1" in verdict.message()
    write_card(root, CARD.model_copy(update={"mask_threshold": 1}))
    assert check_dataset(root, QUALITY)[0].failures == ()


def test_odd_masks_and_copies_within_a_split_are_warnings(root: Path) -> None:
    save_mask(root, "disc_00", 255, box=(1, 1))
    save_mask(root, "disc_01", 255, box=(40, 56))
    for index in range(2, 11):
        save_mask(root, f"disc_{index:02d}", 0)
    splits = {pair.name: pair.split for pair in read_dataset(root).pairs}
    other = next(name for name in splits if splits[name] == splits["disc_00"] and name != "disc_00")
    (root / "images" / f"{other}.jpg").write_bytes((root / "images" / "disc_00.jpg").read_bytes())
    verdict, _ = check_dataset(root, QUALITY)
    assert verdict.passed
    assert failed(verdict) == {
        "object_size": ("warning", ["masks/disc_00.png", "masks/disc_01.png"]),
        "few_empty_masks": ("warning", []),
        "no_full_masks": ("warning", []),
        "no_copies": ("warning", ["images/disc_00.jpg", f"images/{other}.jpg"]),
    }
    assert "found 60%" in verdict.message()


def test_too_few_pairs_and_an_empty_split_are_rejected(root: Path) -> None:
    for index in range(4, 15):
        (root / "images" / f"disc_{index:02d}.jpg").unlink()
        (root / "masks" / f"disc_{index:02d}.png").unlink()
    write_splits(root, {f"disc_{index:02d}": "train" for index in range(4)})
    verdict, _ = check_dataset(root, QUALITY)
    assert failed(verdict) == {"enough_pairs": ("critical", []), "split_present": ("critical", [])}
    assert "found 4" in verdict.message()
    assert "empty: validation, test" in verdict.message()


def test_a_misspelt_split_is_refused_with_its_line(root: Path) -> None:
    text = (root / "splits.csv").read_text().replace("disc_03,", "disc_03,x")
    (root / "splits.csv").write_text(text)
    with pytest.raises(DataError, match=r"splits\.csv line 5: 'x\w+' is not a split; did you mean"):
        check_dataset(root, QUALITY)


def test_a_table_without_rows_is_rejected(root: Path) -> None:
    table = measure_pairs(read_dataset(root))
    assert not judge(table.iloc[:0], build_suite(QUALITY, CARD), CARD).passed


def test_a_table_without_a_column_is_rejected_and_says_which(root: Path) -> None:
    table = measure_pairs(read_dataset(root)).drop(columns="grey_share")
    verdict = judge(table, build_suite(QUALITY, CARD), CARD)
    assert not verdict.passed
    assert verdict.expectations_run == verdict.expectations_expected - 1
    assert failed(verdict)["two_values"][0] == "critical", "a check that cannot be made is never a warning"
    assert "grey_share" in verdict.message()


def test_a_state_that_was_not_measured_is_rejected(root: Path) -> None:
    table = measure_pairs(read_dataset(root))
    table.loc[2, "mask_state"] = None
    assert failed(judge(table, build_suite(QUALITY, CARD), CARD)) == {
        "mask_measured": ("critical", ["images/disc_02.jpg"])
    }


def test_a_suite_without_expectations_is_rejected(root: Path) -> None:
    verdict = judge(measure_pairs(read_dataset(root)), (), CARD)
    assert not verdict.passed
    assert verdict.expectations_run == 0
    assert "no expectation to check it against" in verdict.message()


def test_an_expectation_that_the_engine_loses_is_a_rejection(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(table: pd.DataFrame, suite: Sequence[Check], docs: Path | None) -> list[CheckResult]:
        return [result for result in run_suite(table, suite) if result.check.name != "same_size"]

    monkeypatch.setattr(gate, "run_suite", forgetful)
    verdict, _ = check_dataset(root, QUALITY)
    assert not verdict.passed
    assert verdict.expectations_run == verdict.expectations_expected - 1
    assert "the check 'same_size' was made" in verdict.message()


def test_the_verdict_is_the_same_to_the_byte_and_survives_json(root: Path) -> None:
    (root / "masks" / "disc_04.png").unlink()
    first, again = (check_dataset(root, QUALITY)[0] for _ in range(2))
    assert first.model_dump_json() == again.model_dump_json()
    assert Verdict.model_validate_json(first.model_dump_json()) == first


def test_a_long_list_of_files_is_cut_after_ten_and_says_where_the_rest_is(root: Path) -> None:
    for path in root.glob("masks/*"):
        path.unlink()
    message = check_dataset(root, QUALITY)[0].message(rest="table.csv")
    assert "disc_09.jpg" in message
    assert "disc_10.jpg" not in message
    assert "… and 5 more; all are in table.csv" in message
    assert "disc_14.jpg" in check_dataset(root, QUALITY)[0].message(limit=0)


PARAMS = load_params(Path(__file__).parents[3] / "params.yaml")


def quiet(done: int, total: int, message: str) -> None:
    pass


def test_the_stages_validate_and_preprocess_work_in_a_row(root: Path, tmp_path: Path) -> None:
    paths = StagePaths(tmp_path)
    validate.main("discs", PARAMS, paths, quiet)
    preprocess.main("discs", PARAMS, paths, quiet)
    verdict = json.loads((tmp_path / "artifacts/validate/discs/verdict.json").read_text())
    assert verdict["passed"]
    output = tmp_path / "artifacts/validate/discs"
    assert len(pd.read_parquet(output / "measurements.parquet")) == 15
    assert read_view(output / VIEW_FILE).view == "whole"
    assert json.loads((output / "scale" / "widths.json").read_text())["input_px"] == 256
    assert (output / "offending.csv").read_text() == "file,severity,check,problem\n"
    pages = list((output / "data_docs").rglob("*.html"))
    assert pages
    assert not any(re.search(r"(src|href)=[\"']https?://[^\"']*\.(js|css|png|gif)", page.read_text()) for page in pages)
    assert "Every expectation holds" in (tmp_path / "artifacts/validate/discs/verdict.md").read_text()
    prepared = [load_prepared(tmp_path / "artifacts/preprocess/discs", split) for split in SPLITS]
    assert sum(map(len, prepared)) == 15
    assert prepared[0].images.shape[1:] == (256, 256, 3)


def test_bad_data_stops_both_stages_and_leaves_earlier_arrays_alone(root: Path, tmp_path: Path) -> None:
    paths = StagePaths(tmp_path)
    validate.main("discs", PARAMS, paths, quiet)
    preprocess.main("discs", PARAMS, paths, quiet)
    output = tmp_path / "artifacts/preprocess/discs"
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    (root / "masks" / "disc_04.png").unlink()
    with pytest.raises(DataError, match="discs has changed since .*; run stage validate again"):
        preprocess.main("discs", PARAMS, paths, quiet)
    with pytest.raises(DataError, match=r"images/disc_04\.jpg: has no mask"):
        validate.main("discs", PARAMS, paths, quiet)
    assert "disc_04" in (tmp_path / "artifacts/validate/discs/verdict.md").read_text()
    with pytest.raises(DataError, match="rejects the data"):
        preprocess.main("discs", PARAMS, paths, quiet)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
