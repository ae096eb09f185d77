import os
from pathlib import Path

import pytest

from naslora_core.data.dataset import list_images
from naslora_core.data.groups import groups_of_identical_files, join_groups


def test_files_of_the_same_bytes_form_a_group_and_others_do_not(tmp_path: Path) -> None:
    contents = {"b": b"same", "a": b"same", "c": b"else", "d": b"longer", "e": b"same"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = {name: tmp_path / name for name in contents}
    assert groups_of_identical_files(paths) == {"a": "a", "b": "a", "e": "a"}


def test_twins_join_what_was_declared_apart() -> None:
    declared = {"a": "p1", "b": "p1", "c": "p2", "d": "p3", "e": "p3"}
    twins = {"b": "b", "c": "b", "lone": "lone", "other": "lone"}
    joined = join_groups(declared, twins)
    assert {name: joined[name] for name in "abcde"} == {"a": "p1", "b": "p1", "c": "p1", "d": "p3", "e": "p3"}
    assert joined["lone"] == joined["other"]


def test_a_chain_of_twins_is_one_group() -> None:
    declared = {"a": "p3", "b": "p1", "c": "p2", "d": "p3"}
    joined = join_groups(declared, {"a": "a", "b": "a", "c": "c", "d": "c"})
    assert set(joined.values()) == {"p1"}


@pytest.mark.skipif("NASLORA_DATASETS" not in os.environ, reason="NASLORA_DATASETS names no folder of real images")
def test_two_images_of_soybean_rust_are_one_file() -> None:
    folder = Path(os.environ["NASLORA_DATASETS"]) / "soybean-rust" / "original_images"
    assert groups_of_identical_files(list_images(folder)) == {"image29": "image29", "image37": "image29"}
