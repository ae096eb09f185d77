"""Digests of files: remembered as long as nobody wrote to the file, and never longer."""

import json
import os
from pathlib import Path

import pytest

from naslora_core.data.dataset import digests as module
from naslora_core.data.dataset.dataset import Dataset, file_digest, read_dataset
from naslora_core.data.dataset.digests import file_digests
from naslora_core.data.synthetic.generate import generate_domain


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    root = tmp_path / "data" / "leaf_lesions"
    generate_domain("leaf_lesions", root, count=3, seed=1)
    return read_dataset(root)


@pytest.fixture
def remembered(tmp_path: Path) -> Path:
    return tmp_path / ".naslora" / "leaf_lesions.json"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read from now on."""
    paths: list[Path] = []
    monkeypatch.setattr(module, "file_digest", lambda path: paths.append(path) or file_digest(path))
    return paths


def _as_read(dataset: Dataset) -> dict[Path, str]:
    return {path: file_digest(path) for pair in dataset.pairs for path in (pair.image, pair.mask) if path}


def test_what_was_written_long_ago_is_read_once(dataset, remembered, read, monkeypatch):
    monkeypatch.setattr(module, "_SETTLED_NS", 0)
    first = file_digests(dataset, remembered)
    assert len(read) == 6
    read.clear()
    assert file_digests(dataset, remembered) == first == _as_read(dataset)
    assert not read


def test_what_was_written_just_now_is_read_again(dataset, remembered, read):
    for _ in range(2):
        assert file_digests(dataset, remembered) == _as_read(dataset)
    assert len(read) == 12


def test_other_content_of_the_same_size_and_time_is_noticed(dataset, remembered, monkeypatch):
    monkeypatch.setattr(module, "_SETTLED_NS", 0)
    file_digests(dataset, remembered)
    path = dataset.pairs[0].image
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert file_digests(dataset, remembered) == _as_read(dataset)


def test_a_file_that_takes_the_place_of_another_is_noticed(dataset, remembered, monkeypatch):
    monkeypatch.setattr(module, "_SETTLED_NS", 0)
    file_digests(dataset, remembered)
    first, second = (pair.image for pair in dataset.pairs[:2])
    second.replace(first)
    dataset = read_dataset(dataset.root)
    assert file_digests(dataset, remembered) == _as_read(dataset)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 2, "files": {}}', '{"format": 1, "files": [1]}', '{"format": 1, "files": {"a": 3}}'],
)
def test_a_damaged_record_is_none(dataset, remembered, content):
    remembered.parent.mkdir()
    remembered.write_text(content)
    assert file_digests(dataset, remembered) == _as_read(dataset)


def test_a_digest_that_is_none_is_not_believed(dataset, remembered, monkeypatch):
    monkeypatch.setattr(module, "_SETTLED_NS", 0)
    file_digests(dataset, remembered)
    assert len(json.loads(remembered.read_text())["files"]) == 6
    record = json.loads(remembered.read_text())
    record["files"] = {name: f"{text[:-64]}{'z' * 64}" for name, text in record["files"].items()}
    remembered.write_text(json.dumps(record))
    assert file_digests(dataset, remembered) == _as_read(dataset)
