import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from naslora_core.errors import DataError
from naslora_core.files import write_json
from naslora_core.report.headline import format_headline, headline_rows
from naslora_core.report.sources import Folders


def write_scores(root: Path, domain: str, dice: float) -> None:
    scores = {"dice": dice, "iou": dice / 2, "s_measure": 0.5, "mae": 0.1}
    models = ("base", "adapted", "merged")
    bounds = {name: {"mean": value, "low": value - 0.05, "high": value + 0.05} for name, value in scores.items()}
    write_json(root / domain / "metrics.json", dict.fromkeys(models, scores))
    write_json(root / domain / "summary.json", {"images": 12, "models": dict.fromkeys(models, bounds)})


def test_rows_follow_the_domains_asked_for(tmp_path: Path):
    write_scores(tmp_path, "leaf", 0.7)
    write_scores(tmp_path, "polyp", 0.6)
    rows = headline_rows(tmp_path, ["polyp", "leaf"])
    assert [(row.domain, row.model) for row in rows] == [
        (domain, model) for domain in ("polyp", "leaf") for model in ("base", "adapted", "merged")
    ]
    assert rows[0].images == 12
    assert list(rows[0].scores) == ["dice", "iou", "s_measure"]
    assert (rows[0].scores["dice"].mean, rows[0].scores["dice"].low) == (0.6, pytest.approx(0.55))


def test_the_text_table_is_aligned_and_names_each_domain_once(tmp_path: Path):
    write_scores(tmp_path, "leaf", 0.7)
    write_scores(tmp_path, "mucosa_polyps", 0.6)
    lines = format_headline(headline_rows(tmp_path, ["leaf", "mucosa_polyps"])).splitlines()
    assert len(lines) == 2 + 6 + 1
    assert sum("leaf" in line for line in lines) == 1
    assert {line.index("0.500 [0.450, 0.550]") for line in lines[2:8]} == {lines[0].index("S-measure")}
    assert "0.700 [0.650, 0.750]" in lines[2]


def test_a_domain_that_was_not_evaluated_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"cracks.*metrics\.json not found.*naslora run"):
        headline_rows(tmp_path, ["cracks"])


def test_results_that_lack_a_model_or_are_no_json_are_named(tmp_path: Path):
    write_scores(tmp_path, "leaf", 0.7)
    write_json(tmp_path / "leaf" / "metrics.json", {"base": {"dice": 0.1}})
    with pytest.raises(DataError, match="lack 'iou'"):
        headline_rows(tmp_path, ["leaf"])
    (tmp_path / "leaf" / "metrics.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="not valid JSON"):
        headline_rows(tmp_path, ["leaf"])


def test_it_reads_what_the_evaluation_writes(write_stages: Callable[[Path, str, str], Folders], tmp_path: Path):
    folders = write_stages(tmp_path, "discs", "nas_lora")
    base, adapted, merged = headline_rows(folders.evaluate.parent, ["discs"])
    assert base.images == 7
    assert base.scores["dice"].mean < merged.scores["dice"].mean == adapted.scores["dice"].mean


def test_importing_it_imports_nothing_heavy():
    program = (
        "import sys, naslora_core.report.headline; "
        "print(sorted({'numpy', 'pandas', 'torch', 'matplotlib', 'PIL', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
