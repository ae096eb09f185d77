"""Versions of the data: real git, real DVC, and the commands of docs/data.md."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.errors import ConfigError, DataError, PipelineError
from tests.fixtures.preloaded import fast_python

Data = Callable[..., Result]


def sh(root: Path, *command: str) -> str:
    words = [fast_python(), "-m", *command] if command[0] == "dvc" else list(command)
    done = subprocess.run(words, cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(root: Path, message: str) -> None:
    """Do what docs/data.md says: add a version of the data."""
    sh(root, "dvc", "add", "--quiet", "data")
    sh(root, "git", "add", "-A")
    sh(root, "git", "commit", "--quiet", "-m", message)


@pytest.fixture(scope="module")
def versioned(tmp_path_factory: pytest.TempPathFactory, make_domains: Callable[[Path], None]) -> tuple[Path, list[str]]:
    """A project with three versions of its data, pushed to a folder, and the fingerprints of discs."""
    root = tmp_path_factory.mktemp("versioned")
    make_domains(root)
    sh(root, "git", "init", "--quiet")
    sh(root, "git", "config", "user.name", "a")
    sh(root, "git", "config", "user.email", "a@example.org")
    (root / ".gitignore").write_text("/data/\n/artifacts/\n/serving/\n")
    sh(root, "dvc", "init", "--quiet")
    sh(root, "dvc", "remote", "add", "--default", "store", str(root.parent / "store"))
    digests = [fingerprint(read_dataset(root / "data" / "discs"))]
    commit(root, "First images")
    discs = root / "data" / "discs"
    for kind in ("images", "masks"):
        shutil.copy(discs / kind / "image_00.png", discs / kind / "image_16.png")
    shutil.copy(discs / "masks" / "image_01.png", discs / "masks" / "image_02.png")
    digests.append(fingerprint(read_dataset(discs)))
    commit(root, "One more image")
    shutil.copy(root / "data/squares/images/image_00.png", root / "data/squares/images/image_01.png")
    commit(root, "Other domain")
    sh(root, "dvc", "push", "--quiet", "--all-commits", "data.dvc")
    return root, digests


@pytest.fixture
def history(versioned: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project itself, as working folder; what it shows must not change it."""
    monkeypatch.chdir(versioned[0])
    return versioned[0]


@pytest.fixture
def project(versioned: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "project"
    shutil.copytree(versioned[0], root, symlinks=True)
    monkeypatch.chdir(root)
    yield root
    os.chdir("/")


def test_diff_compares_revisions_and_the_working_tree_and_changes_nothing(history: Path, data: Data) -> None:
    assert "no difference" in data("diff", "discs").stdout
    text = data("diff", "discs", "HEAD~2", "HEAD").stdout
    assert "discs, HEAD~2 to HEAD: 16 to 17 pairs" in text
    assert "images added: 1: image_16" in text
    assert "masks changed: 1: image_02" in text
    assert "images changed" not in text
    backwards = json.loads(data("diff", "discs", "HEAD", "HEAD~2", "--json").stdout)
    assert backwards["images"] == {"added": [], "removed": ["image_16"], "changed": []}
    assert "images changed: 1: image_01" in data("diff", "squares", "HEAD~1").stdout
    image = history / "data/discs/images/image_04.png"
    content = image.read_bytes()
    image.write_bytes(b"new")
    data("quarantine", "discs", "image_05")
    working = json.loads(data("diff", "discs", "--json").stdout)
    assert (working["images"]["changed"], working["quarantined"]) == (["image_04"], ["image_05"])
    image.write_bytes(content)
    data("restore", "discs", "--all")
    assert sh(history, "git", "status", "--porcelain") == ""


def test_log_lists_the_commits_of_a_domain_and_the_models_trained_on_them(
    history: Path, data: Data, versioned: tuple[Path, list[str]]
) -> None:
    first, second = versioned[1]
    trained, served = {"dataset_sha256": second}, {"origin": {"dataset_sha256": first}}
    for folder, name, notes in (("artifacts/search_train", "adapter", trained), ("serving", "model", served)):
        (history / folder / "discs").mkdir(parents=True)
        (history / folder / "discs" / f"{name}.json").write_text(json.dumps(notes))
    lines = data("log", "discs").stdout.splitlines()
    assert len(lines) == 3
    assert second[:12] in lines[0]
    assert "17 images, 17 masks, 0 in quarantine  One more image  <- trained adapter" in lines[0]
    assert first[:12] in lines[1]
    assert lines[1].endswith("First images  <- model in service")
    assert [line.split("  ")[-1] for line in data("log", "squares").stdout.splitlines()[:2]] == [
        "Other domain",
        "First images",
    ]


def test_a_version_that_is_not_here_is_fetched_by_the_command_that_the_message_names(project: Path, data: Data) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    message = str(data("diff", "discs", "HEAD~2", "HEAD", error=DataError).exception)
    command = "dvc fetch --all-commits data.dvc"
    assert command in message
    assert command in data("log", "discs").stdout
    sh(project, *command.split())
    assert "images added: 1" in data("diff", "discs", "HEAD~2", "HEAD").stdout
    # Going back to a version, as docs/data.md says.
    sh(project, "git", "checkout", "--quiet", "HEAD~2", "--", "data.dvc")
    sh(project, "dvc", "checkout", "--quiet", "data.dvc")
    assert "no difference" in data("diff", "discs", "HEAD~2").stdout


def test_a_packed_version_is_compared_by_its_index_and_unpacked_after_checkout(project: Path, data: Data) -> None:
    data("pack", "discs")
    commit(project, "Packed")
    assert not any(".unpacked" in path.read_text() for path in (project / ".dvc/cache").rglob("*.dir"))
    assert "no difference" in data("diff", "discs", "HEAD~1", "HEAD").stdout
    shutil.rmtree(project / "data")
    sh(project, "dvc", "checkout", "--quiet", "data.dvc")
    assert "run naslora data unpack discs" in data("list").stdout
    data("unpack", "discs")
    assert "no difference" in data("diff", "discs").stdout


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("diff", "lungs"), ConfigError, "there is no domain 'lungs' in HEAD, and none in working tree"),
        (("log", "lungs"), ConfigError, "no commit of data.dvc has a domain 'lungs'"),
        (("diff", "discs", "nowhere"), PipelineError, "git cannot tell: .*nowhere"),
    ],
)
def test_what_there_is_no_version_of_is_refused(
    history: Path, data: Data, arguments: tuple[str, ...], error: type[DataError], message: str
) -> None:
    with pytest.raises(error, match=message):
        raise data(*arguments, error=error).exception  # type: ignore[misc]


def test_outside_of_git_the_message_says_what_versions_are(drawn_project: Path, data: Data) -> None:
    assert "git revisions of data.dvc" in str(data("diff", "discs", error=PipelineError).exception)
