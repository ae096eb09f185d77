"""A run sees without DVC that nothing has changed, and asks DVC whenever a file looks different."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.dvc.changes import ChangedStages
from pipelines.run import unchanged

LOCK = """
schema: '2.0'
stages:
  train@leaf:
    cmd: python train.py
    deps:
    - {path: data/leaf, md5: 1.dir}
    - {path: models/base.safetensors, md5: '2'}
    - {path: train.py, md5: '3'}
    - {path: library, md5: 4.dir}
    outs:
    - {path: artifacts/train/leaf, md5: 5.dir}
  gone@oak:
    cmd: python gone.py
    outs:
    - {path: artifacts/gone/oak, md5: 6.dir}
"""
FILES = {
    "dvc.yaml": "stages: {}",
    "dvc.lock": LOCK,
    "params.yaml": "seed: 7",
    "data.dvc": "outs: []",
    ".dvcignore": "__pycache__\n*.tmp\n/data/.unpacked\n",
    ".dvc/config": "",
    "data/leaf/images/a.png": "image a",
    "data/leaf/masks/a.png": "mask a",
    "models/base.safetensors": "weights",
    "train.py": "pass",
    "library/deep/code.py": "pass",
    "artifacts/train/leaf/model": "model",
    "registry/leaf.json": "{}",
    "serving/leaf/model.safetensors": "model",
}
AN_HOUR_NS = 3_600_000_000_000
CLEAN = ChangedStages((), ("report",))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a project in which nothing was to be done, and every file is an hour old."""
    folder = tmp_path / "project"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
        age(folder / name)
    settle(folder)
    return folder


def age(path: Path) -> None:
    """Set the time of the content an hour back."""
    seen = path.stat()
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns - AN_HOUR_NS))


def settle(root: Path) -> None:
    snapshot = unchanged.take(root)
    assert snapshot is not None
    unchanged.remember(root, snapshot, CLEAN)


def put_time_back(path: Path, content: str) -> None:
    """Change a file's content but neither its size nor its time."""
    seen = path.stat()
    assert len(content) == seen.st_size
    path.write_text(content)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "an image that grew": lambda root: (root / "data/leaf/images/a.png").write_text("another image"),
    "size and time put back": lambda root: put_time_back(root / "data/leaf/images/a.png", "image b"),
    "an image that is gone": lambda root: (root / "data/leaf/images/a.png").unlink(),
    "an image that is new": lambda root: (root / "data/leaf/images/b.png").write_text("image b"),
    "an image in a new folder": lambda root: shutil.copytree(root / "data/leaf/masks", root / "data/leaf/more/masks"),
    "an image with another name": lambda root: (root / "data/leaf/images/a.png").rename(
        root / "data/leaf/images/b.png"
    ),
    "a file by a copy of it": lambda root: (
        shutil.copy2(root / "train.py", root / "copy.py"),
        (root / "copy.py").replace(root / "train.py"),
    ),
    "settings": lambda root: (root / "params.yaml").write_text("seed: 8"),
    "the pipeline": lambda root: (root / "dvc.yaml").write_text("stages: []"),
    "what the last run recorded": lambda root: (root / "dvc.lock").write_text(LOCK.replace("'3'", "'9'")),
    "which data is meant": lambda root: (root / "data.dvc").write_text("outs: 0"),
    "what dvc leaves out": lambda root: (root / ".dvcignore").write_text("__pycache__\n"),
    "settings of dvc here": lambda root: (root / ".dvc/config.local").write_text("[cache]"),
    "code": lambda root: (root / "train.py").write_text("print"),
    "code in a package": lambda root: (root / "library/deep/code.py").write_text("print"),
    "the base model": lambda root: put_time_back(root / "models/base.safetensors", "WEIGHTS"),
    "an output that is gone": lambda root: shutil.rmtree(root / "artifacts/train/leaf"),
    "an output": lambda root: (root / "artifacts/train/leaf/model").write_text("edited"),
    "a decision on a model": lambda root: (root / "registry/leaf.json").write_text("{ }"),
    "a pointer to a model": lambda root: (root / "registry/leaf.dvc").write_text(""),
    "the model in service": lambda root: (root / "serving/leaf/model.safetensors").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_kind_of_change_is_noticed(root: Path, change: Callable[[Path], object]):
    assert unchanged.recall(root) == ChangedStages((), ("report",), is_settled=True)
    change(root)
    assert unchanged.recall(root) is None


def test_what_decides_nothing_may_change(root: Path):
    for name in ("library/__pycache__/code.pyc", "data/.unpacked/leaf/a.png", "notes.txt", "runs/trial/model"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("new")
    assert unchanged.recall(root) is not None


def test_linked_folders_and_files_are_followed(root: Path, tmp_path: Path):
    shutil.move(root / "data", tmp_path / "elsewhere")
    (root / "data").symlink_to(tmp_path / "elsewhere")
    shutil.move(root / "models/base.safetensors", tmp_path / "base")
    (root / "models/base.safetensors").symlink_to(tmp_path / "base")
    (root / "library/nowhere.py").symlink_to(tmp_path / "nowhere")
    settle(root)
    assert unchanged.recall(root) is not None
    put_time_back(tmp_path / "elsewhere/leaf/masks/a.png", "mask b")
    assert unchanged.recall(root) is None
    settle(root)
    put_time_back(tmp_path / "base", "WEIGHTS")
    assert unchanged.recall(root) is None
    settle(root)
    (tmp_path / "nowhere").write_text("now there")
    assert unchanged.recall(root) is None


def test_a_file_too_new_to_be_trusted_is_read(root: Path, monkeypatch: pytest.MonkeyPatch):
    (root / "params.yaml").write_text("seed: 7")
    settle(root)
    assert unchanged.recall(root) is not None
    # As on a file system whose times are too coarse to show the second change.
    seen = (root / "params.yaml").stat()
    (root / "params.yaml").write_text("seed: 9")
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: seen if path.name == "params.yaml" else real(path, **how))
    assert unchanged.recall(root) is None


def test_where_too_much_is_too_new_dvc_is_asked(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(unchanged, "_MOST_RACY", 3)
    for name in FILES:
        (root / name).touch()
    assert unchanged.take(root) is None


def test_links_in_a_circle_leave_it_to_dvc(root: Path):
    (root / "data/leaf/again").symlink_to(root / "data/leaf")
    assert unchanged.recall(root) is None
    assert unchanged.take(root) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 99, "digest": "", "roots": []}'])
def test_a_damaged_record_leaves_it_to_dvc(root: Path, content: str):
    (root / ".naslora/unchanged/answer.json").write_text(content)
    assert unchanged.recall(root) is None
