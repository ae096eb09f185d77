"""What the report shows of choices at test time: Dice, gain and cost of each, and which one is in use."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from naslora_core.config import load_params
from naslora_core.files import write_json
from naslora_core.report.choices import options_context
from naslora_core.report.page import write_report
from naslora_core.report.sources import Folders, read_results

PARAMS = load_params(Path(__file__).parents[3] / "params.yaml")
STILL = {"mean": 0.0, "low": 0.0, "high": 0.0}
USED = {"setting": "flips", "value": "none", "in_use": True, "dice": 0.7, "gain": STILL}
FLIPPED = USED | {"value": "all", "in_use": False}
OWN = USED | {"setting": "threshold", "value": "0.35", "in_use": False}
FOUND = {"images": 9, "middle_px": None, "options": [USED, FLIPPED, OWN]}


def test_the_cost_is_relative_to_what_is_in_use_and_a_threshold_has_none() -> None:
    rows = options_context(FOUND, {"flips none": 0.02, "flips all": 0.07}, None)["rows"]
    assert [row["cost"] for row in rows] == [1, pytest.approx(3.5), 1]
    assert [row["cost"] for row in options_context(FOUND, {}, None)["rows"]] == [None, None, 1]


def test_it_says_what_was_measured_and_what_the_threshold_gains_where_it_had_no_part_in_the_choice() -> None:
    measured, chosen = options_context(FOUND, {}, {"chosen": 0.35, "gain_held_out": 0.0123})["sentences"]
    assert "9 validation images, with one choice" in measured
    assert "the threshold 0.35 on all validation images" in chosen
    assert "+0.012" in chosen
    assert len(options_context(FOUND, {}, None)["sentences"]) == 1
    usual = options_context(FOUND, {}, {"chosen": 0.5, "gain_held_out": -0.006})["sentences"][1]
    assert usual == "Stage merge found no threshold that can be told from 0.5 on the validation images."
    (large,) = options_context(FOUND | {"images": 1, "middle_px": 1024}, {}, None)["sentences"]
    assert "1 validation image (of larger ones the middle 1024 pixels)" in large


def test_the_page_has_the_table_and_the_threshold_of_every_model(
    write_stages: Callable[[Path, str, str], Folders], tmp_path: Path
) -> None:
    folders = write_stages(tmp_path, "leaf", "lora")
    seconds = folders.times[0].with_name("evaluate.json")
    write_json(seconds, {"test_time_cpu_seconds": {"flips none": 2, "flips all": 9}})
    write_json(folders.merge / "model.json", {"mode": "fold", "origin": {}, "threshold": 0.35})
    results = read_results("leaf", replace(folders, times=(*folders.times, seconds)))
    settings = PARAMS.evaluate.model_copy(update={"threshold": "auto"})
    write_report(tmp_path, [results], PARAMS.model_copy(update={"evaluate": settings}))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    shown = page[page.index("What test time can still gain") :]
    used, flipped = re.findall(r"<tr.*?</tr>", shown, flags=re.DOTALL)[1:3]
    assert "in use" in used
    assert "in use" not in flipped
    assert "with all three flips" in flipped
    assert "4.50" in flipped
    assert "+0.013" in flipped or "+0.012" in flipped
    assert "exceeds the threshold that was chosen on the validation images" in page
    assert "dotted: 0.35" in page
