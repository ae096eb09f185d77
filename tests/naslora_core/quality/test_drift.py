"""Drift from the data that the model in service was trained on is reported, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from naslora_core.config import load_params
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.progress import silent
from naslora_core.quality.drift import find_drift
from naslora_core.quality.measure import measure_pairs
from naslora_core.quality.table import write_table
from pipelines.run.gate import check_domains
from stages.paths import StagePaths
from tests.naslora_core.quality.corpus import draw, save
from tests.naslora_core.quality.flawless import CARD, QUALITY, write_pairs

STRICT = QUALITY.model_copy(update={"drift_p_value": 0.01, "drift_min_effect": 0.3})
PARAMS = load_params(Path(__file__).parents[3] / "params.yaml").model_copy(update={"quality": STRICT})
PLACE = "artifacts/validate/corpus/measurements.parquet"


def brighten(root: Path, by: int) -> None:
    """Draw every image anew with half of its contrast, and so much brighter: of grey, only the mean changes."""
    for seed, path in enumerate(sorted(root.glob("images/*"))):
        save(path, (draw(seed) // 2 + by).astype(np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data" / "corpus"
    write_pairs(root, [f"pair_{index:02d}" for index in range(12)])
    brighten(root, 0)
    (tmp_path / PLACE).parent.mkdir(parents=True)
    write_table(tmp_path / PLACE, measure_pairs(read_dataset(root)), CARD)
    return root


def test_brighter_images_are_told_by_the_statistics_that_changed(root: Path, tmp_path: Path) -> None:
    brighten(root, 120)
    found, compared = find_drift(measure_pairs(read_dataset(root)), tmp_path / PLACE, STRICT)
    # Saturation is relative to the brightest channel; contrast, sharpness and masks are as they were.
    assert [failure.expectation for failure in found] == ["drift_brightness", "drift_saturation"]
    assert {failure.severity for failure in found} == {"warning"}
    assert "the brightness is distributed as in the data of the model in service" in found[0].description
    assert "distance 1.00" in found[0].observed, "no image is as dark as one before"
    assert "the 12 pairs" in compared


def test_the_same_data_and_a_small_change_have_not_drifted(root: Path, tmp_path: Path) -> None:
    table = measure_pairs(read_dataset(root))
    assert find_drift(table, tmp_path / PLACE, STRICT)[0] == []
    table["brightness"] += 0.2
    assert find_drift(table, tmp_path / PLACE, STRICT)[0] == []


@pytest.mark.parametrize(("least", "told"), [(0.9, ["drift_brightness"]), (0.95, [])])
def test_a_change_of_too_little_effect_is_not_told(root: Path, tmp_path: Path, least: float, told: list[str]) -> None:
    table = measure_pairs(read_dataset(root))
    table["brightness"] = table["brightness"].where(table.index == 0, 900.0)
    table.loc[0, "brightness"] = 0.0
    # Eleven of twelve images are brighter than all before: a distance of 11/12, or 0.917.
    found, _ = find_drift(table, tmp_path / PLACE, STRICT.model_copy(update={"drift_min_effect": least}))
    assert [failure.expectation for failure in found] == told


@pytest.mark.parametrize(("now", "before", "tells"), [(4, 5, False), (5, 12, True), (12, 1, False), (6, 6, False)])
def test_too_few_images_to_tell_a_change_are_said_to_be_so(
    root: Path, tmp_path: Path, now: int, before: int, tells: bool
) -> None:
    table = measure_pairs(read_dataset(root))
    write_table(tmp_path / PLACE, table.iloc[:before], CARD)
    apart = ks_2samp(np.zeros(now) + np.arange(now), np.arange(before) + 100.0).pvalue
    assert (apart < 0.01 / 5) == tells, "the exact test, on what differs as much as can be"
    found, compared = find_drift(table.iloc[:now].assign(brightness=np.arange(now) + 900.0), tmp_path / PLACE, STRICT)
    assert bool(found) == tells
    assert (f"{now} and {before} pairs are too few" in compared) != tells


def test_without_a_model_in_service_there_is_nothing_to_compare_with(root: Path, tmp_path: Path) -> None:
    table = measure_pairs(read_dataset(root))
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    assert find_drift(table, None, STRICT) == ([], "")
    for reference in (tmp_path / "nowhere.parquet", tmp_path / "damaged.parquet"):
        assert find_drift(table, reference, STRICT) == ([], "No earlier version of the data to compare with.")


def test_a_check_compares_with_the_measurements_of_the_model_in_service(root: Path, tmp_path: Path) -> None:
    served = StagePaths(tmp_path).served_measurements("corpus")
    served.parent.mkdir(parents=True)
    served.write_bytes((tmp_path / PLACE).read_bytes())
    brighten(root, 120)
    said: list[str] = []
    check_domains(tmp_path, PARAMS, ["corpus"], said.append, silent)
    assert "corpus passed" in said[-1]
    assert "warning: expected that the brightness is distributed as in the data of the model in service" in said[-1]
