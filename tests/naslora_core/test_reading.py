from pathlib import Path

import pytest
from pydantic import BaseModel

from naslora_core.errors import DataError
from naslora_core.reading import read_model


class Notes(BaseModel):
    count: int


@pytest.mark.parametrize("text", ['{"count": 3}', '{"format": 1, "count": 3}', '{"format": 1, "count": 3, "more": 4}'])
def test_a_file_without_a_number_is_of_the_first_version(text: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text(text)
    assert read_model(path, Notes, 1, "write it again", DataError) == Notes(count=3)
    path.write_text('{"count": 3}')
    with pytest.raises(DataError, match=r"notes\.json has format 1, this version reads 2; write it again"):
        read_model(path, Notes, 2, "write it again", DataError)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"count": "many"}', "[" * 100_000])
def test_whatever_is_wrong_with_a_file_it_is_named_with_what_to_do(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=r"(?s)notes\.json is damaged \(.+\); write it again"):
        read_model(path, Notes, 1, "write it again", DataError, fault="is damaged")


def test_a_wrong_field_is_named_in_one_line_and_without_the_class_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text('{"count": "many"}')
    with pytest.raises(DataError) as caught:
        read_model(path, Notes, 1, "write it again", DataError)
    message = str(caught.value)
    assert "count: Input should be a valid integer" in message
    assert "\n" not in message
    assert "Notes" not in message


def test_a_file_that_the_system_refuses_is_not_called_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "notes.json"
    folder.mkdir()
    with pytest.raises(DataError, match=r"notes\.json cannot be read \(.+\); look at its permissions and the disk"):
        read_model(folder, Notes, 1, "write it again", DataError, fault="is damaged")
