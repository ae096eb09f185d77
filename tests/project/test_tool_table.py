"""The table "What annotation tools write" in docs/datasets.md: every row names tests, and these exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
HEADER = "| tool and version | what it writes that surprises | how we read it | test that holds it |"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.split(HEADER)[1].split("\n\n")[0].strip().splitlines()[1:]
]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}
TOOLS = (
    "labelme", "Label Studio", "CVAT", "Datumaro", "supervision", "Ultralytics", "pycocotools", "VOC", "cityscapes",
    "Roboflow", "nnU-Net", "Cellpose", "ImageJ", "QuPath", "NumPy", "tifffile", "Pillow", "OpenCV",
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1][:30]}")
def test_every_row_names_tests_that_exist(row: list[str]) -> None:
    assert len(row) == 4
    assert all(row)
    names = re.findall(r"`([^`]+)`", row[3])
    assert ", ".join(f"`{name}`" for name in names) == row[3]
    assert names
    assert set(names) <= TESTS


def test_a_name_of_no_test_is_seen() -> None:
    assert "test_that_nobody_wrote" not in TESTS
    assert len(TESTS) > 1000


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_a_row(tool: str) -> None:
    assert any(tool in row[0] for row in ROWS)
