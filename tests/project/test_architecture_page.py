"""docs/architecture.md shows the house as it stands: what it names is there, and what is there it names."""

import re
from pathlib import Path

import pytest

from tests.project.test_dependencies import CORE_ROOMS, GROUND, ROOMS, ROOT

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
    ("heading", "rooms"), [("| room of `naslora_core/` |", CORE_ROOMS), ("| room of `pipelines/` |", ROOMS)]
)
def test_the_page_shows_the_walls_that_the_imports_are_held_to(heading, rooms):
    shown = {room: cell for first, cell in rows(heading).items() for room in names(first)}
    assert set(shown) | {"json_document"} == set(rooms) | {"json_document"}
    for room, cell in shown.items():
        allowed = set(rooms[room]) - {"json_document"}
        if "all of them" in cell:
            assert allowed == set(rooms) - {room, "json_document"}
            continue
        assert {name if name in rooms else name.rpartition("/")[0] for name in names(cell)} == allowed, room


def test_the_page_names_the_ground_floor():
    assert names(PAGE.split("Everything may import the ground floor")[1].split("one file each")[0]) >= GROUND
    assert {path.stem for path in Path(ROOT, "naslora_core").glob("*.py")} - {"__init__"} == GROUND | {
        "predict",
        "validation",
    }
