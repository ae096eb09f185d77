"""Every file is findable: no folder is too full to read at a glance, and no file too small to be one."""

import ast
from pathlib import Path

import pytest

from tests.project.test_dependencies import FILES, ROOT

MOST_FILES, LEAST_LINES = 16, 25
MODULES = [file for file in FILES if not file.endswith("/__init__.py")]
FOLDERS = sorted({str(Path(file).parent) for file in MODULES})


def registers(source: str) -> bool:
    """Say whether a file adds an entry to a registry, which asks for a file of its own however small it is."""
    decorated = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    calls = [one for node in decorated for one in node.decorator_list if isinstance(one, ast.Call)]
    return any(call.args and isinstance(call.args[0], ast.Constant) for call in calls)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_read_at_a_glance(folder: str) -> None:
    assert sum(str(Path(file).parent) == folder for file in MODULES) <= MOST_FILES


@pytest.mark.parametrize("file", MODULES)
def test_a_file_is_worth_opening(file: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    assert len(source.splitlines()) >= LEAST_LINES or registers(source), "put it into a neighbour's file"


def test_the_test_knows_an_entry_of_a_registry() -> None:
    assert registers('@metric("dice", title="Dice")\ndef dice(comparison): ...')
    assert not registers("@dataclass(frozen=True)\nclass Row: ...")
