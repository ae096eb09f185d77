"""Which of the stages that `dvc status` names have to run, and of which only the results are elsewhere."""

from pathlib import Path

import pytest

from pipelines.dvc.changes import ChangedStages, sort_changes
from pipelines.dvc.lock_file import DvcLock

LOCK = """
schema: '2.0'
stages:
  train@leaf:
    cmd: train
    deps:
    - {path: data/leaf, md5: 1.dir}
    outs:
    - {path: artifacts/train/leaf/model, md5: aa}
    - {path: artifacts/train/leaf/metrics.json, md5: bb}
  evaluate@leaf:
    cmd: evaluate
    deps:
    - {path: artifacts/train/leaf/model, md5: aa}
    outs:
    - {path: artifacts/evaluate/leaf, md5: cc.dir}
  report:
    cmd: report
    deps:
    - {path: artifacts/evaluate, md5: dd.dir}
    outs:
    - {path: artifacts/report, md5: ee.dir}
"""
MODEL = "artifacts/train/leaf/model"
NO_MODEL = [{"changed outs": {MODEL: "deleted"}}]


@pytest.fixture
def sort(tmp_path: Path):
    (tmp_path / "dvc.lock").write_text(LOCK)

    def run(status: dict[str, list[object]], kept: tuple[str, ...] = (), lock: str = LOCK) -> ChangedStages:
        (tmp_path / "dvc.lock").write_text(lock)
        return sort_changes(status, lambda: DvcLock(tmp_path), lambda path: path in kept)

    return run


def test_a_clone_without_outputs_has_no_change(sort):
    found = sort({
        "train@leaf": NO_MODEL,
        "evaluate@leaf": [
            {"changed deps": {MODEL: "deleted"}},
            {"changed outs": {"artifacts/evaluate/leaf": "deleted"}},
        ],
        "report": [
            # Git has brought a part of the folder.
            {"changed deps": {"artifacts/evaluate": "modified"}},
            {"changed outs": {"artifacts/report": "deleted"}},
        ],
        "data.dvc": [{"changed outs": {"data": "modified"}}],
    })  # fmt: skip
    assert found == ChangedStages((), ("train@leaf", "evaluate@leaf", "report"), pointers=("data.dvc",))
    assert found.domains == ()


@pytest.mark.parametrize(
    "also",
    [
        {"changed deps": {"data/leaf": "modified"}},
        {"changed deps": {"data/leaf": "deleted"}},
        {"changed deps": {"params.yaml": {"train.epochs": "modified"}}},
        {"changed outs": {MODEL: "deleted", "artifacts/train/leaf/metrics.json": "modified"}},
        {"changed outs": {MODEL: "deleted", "artifacts/train/leaf/log": "new"}},
        "changed command",
        "always changed",
    ],
)
def test_whatever_else_is_different_is_a_change(sort, also: object):
    assert sort({"train@leaf": [*NO_MODEL, also]}) == ChangedStages(("train@leaf",))


def test_a_stage_that_has_never_run_has_to(sort):
    assert sort({"train@oak": [{"changed outs": {"artifacts/train/oak": "deleted"}}]}).stages == ("train@oak",)
    assert sort({"train@leaf": NO_MODEL}, lock="").stages == ("train@leaf",)


def test_a_stage_behind_the_one_before_it_has_to_run(sort):
    made, _, used = LOCK.rpartition("leaf/model, md5: aa")
    behind = f"{made}leaf/model, md5: ff{used}"
    status = {"train@leaf": NO_MODEL, "evaluate@leaf": [{"changed deps": {MODEL: "deleted"}}]}
    assert sort(status, lock=behind) == ChangedStages(("evaluate@leaf",), ("train@leaf",))


def test_results_of_another_commit_are_told_from_what_was_edited(sort):
    status = {
        "train@leaf": [{"changed outs": {MODEL: "modified"}}],
        "evaluate@leaf": [{"changed deps": {MODEL: "modified"}}],
    }
    assert sort(status, kept=(MODEL,)) == ChangedStages((), ("train@leaf", "evaluate@leaf"), (MODEL,))
    assert sort(status) == ChangedStages(("train@leaf", "evaluate@leaf"))
