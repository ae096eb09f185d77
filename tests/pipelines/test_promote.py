"""Putting a model into service: all of it or nothing."""

import os
import shutil

import pytest

from pipelines.promote import promote
from stages.paths import StagePaths


@pytest.fixture
def paths(tmp_path):
    for stage, name in (
        ("merge", "model.safetensors"),
        ("merge", "model.json"),
        ("evaluate", "metrics.json"),
    ):
        folder = tmp_path / "artifacts" / stage / "leaf"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"first {name}")
    assert promote(StagePaths(tmp_path), ["leaf"]) == ("leaf",)
    return StagePaths(tmp_path)


def test_the_copy_holds_model_and_metrics(paths):
    served = {path.name: path.read_text() for path in (paths.root / "serving" / "leaf").iterdir()}
    assert served == {name: f"first {name}" for name in ("model.safetensors", "model.json", "metrics.json")}


def test_the_same_model_is_not_copied_again(paths):
    inode = (paths.root / "serving" / "leaf").stat().st_ino
    assert promote(paths, ["leaf"]) == ()
    assert (paths.root / "serving" / "leaf").stat().st_ino == inode


def test_a_model_of_the_same_size_and_time_span_but_other_content_is_copied(paths):
    model = paths.output("merge", "leaf") / "model.safetensors"
    model.write_text("other model.safetensors")
    os.utime(model, ns=(1, 1))
    assert promote(paths, ["leaf"]) == ("leaf",)
    assert (paths.root / "serving" / "leaf" / "model.safetensors").read_text() == "other model.safetensors"


def test_a_copy_that_fails_leaves_the_model_in_service(paths, monkeypatch):
    (paths.output("merge", "leaf") / "model.json").write_text("second, longer")
    copied = []

    def disk_full(source, target):
        copied.append(target)
        if len(copied) == 2:
            raise OSError("No space left on device")
        shutil.copyfile(source, target)

    monkeypatch.setattr("pipelines.promote.shutil.copy2", disk_full)
    with pytest.raises(OSError, match="No space"):
        promote(paths, ["leaf"])
    assert len(copied) == 2
    assert (paths.root / "serving" / "leaf" / "model.json").read_text() == "first model.json"
    assert [path.name for path in (paths.root / "serving").iterdir()] == ["leaf"]
