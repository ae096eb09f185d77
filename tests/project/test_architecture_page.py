"""docs/architecture.md agrees with the code: its paths exist, and it lists every package."""

import re
from pathlib import Path

import pytest

from tests.project.test_dependencies import CORE_IMPORTS, PIPELINE_IMPORTS, ROOT, SHARED

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted({word for word in re.findall(r"`([^` ]+)`", PAGE) if re.search(r"\w/|\.py$", word) and "…" not in word})


def exists(path: str) -> bool:
    return any(
        (ROOT / beginning / f"{path}{ending}").exists()
        for beginning in ("", "naslora_core", "pipelines")
        for ending in ("", ".py")
    )


@pytest.mark.parametrize("path", PATHS)
def test_every_path_on_the_page_is_there(path):
    assert exists(path)


def test_the_page_has_paths_and_a_wrong_one_is_seen():
    assert len(PATHS) > 60
    assert not exists("training/stage_wise.py")


def rows(heading: str) -> dict[str, str]:
    """The first table behind a heading, as the last cell by the first one."""
    table = PAGE.split(heading)[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    return {row[0]: row[-1] for row in cells}


def names(cell: str) -> set[str]:
    return {re.sub(r"/$|\.py$", "", word) for word in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize(
    ("heading", "packages"),
    [("| package of `naslora_core/` |", CORE_IMPORTS), ("| package of `pipelines/` |", PIPELINE_IMPORTS)],
)
def test_the_page_shows_the_import_rules_that_are_tested(heading, packages):
    shown = {package: cell for first, cell in rows(heading).items() for package in names(first)}
    assert set(shown) | {"json_document"} == set(packages) | {"json_document"}
    for package, cell in shown.items():
        allowed = set(packages[package]) - {"json_document"}
        if "all of them" in cell:
            assert allowed == set(packages) - {package, "json_document"}
            continue
        assert {name if name in packages else name.rpartition("/")[0] for name in names(cell)} == allowed, package


def test_the_page_names_the_shared_modules():
    assert names(PAGE.split("Everything may import the shared modules")[1].split("one file each")[0]) >= SHARED
    assert {path.stem for path in Path(ROOT, "naslora_core").glob("*.py")} - {"__init__"} == SHARED | {
        "predict",
        "validation",
    }
