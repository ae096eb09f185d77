"""Curves that grow while training runs."""

import ast
import csv
import json
import shutil
import socket
import subprocess
import sys
from configparser import ConfigParser
from contextlib import suppress
from pathlib import Path

import pytest

import stages.console
import stages.curves
from naslora_core.errors import ConfigError, PipelineError
from naslora_core.training.history import AlphaRecord, EpochRecord
from pipelines.dvc import command as dvc
from stages.curves import curves
from stages.paths import StagePaths

ROOT = Path(__file__).parents[2]


def epoch(number: int, **changes) -> EpochRecord:
    values = {"arch_loss": 0.7, "arch_lr": 0.02, "alpha_entropy": 0.9} | changes
    return EpochRecord(
        number, train_loss=1 / number, validation_dice=number / 10, lr=0.002, decoder_lr=0.0005, seconds=3.0, **values
    )


ALPHAS = [AlphaRecord(1, "blocks.0.attn.qkv", "conv_3x3", 0.25), AlphaRecord(1, "blocks.0.attn.qkv", "none", 0.75)]


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch):
    def refuse(*arguments):
        pytest.fail(f"a connection was opened: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A git repository with DVC, as naslora's own is one."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    for name in (".gitignore", ".dvc/.gitignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-qm", "start")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def git(folder, *arguments) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def column(project, name: str) -> list[tuple[str, str]]:
    with (project / "artifacts/live/leaf/plots/metrics" / f"{name}.tsv").open() as file:
        return [tuple(row.values()) for row in csv.DictReader(file, delimiter="\t")]


def test_an_epoch_is_there_as_soon_as_it_ends(project):
    with curves(StagePaths(project), "leaf", tensorboard=False) as watch:
        watch(epoch(1, arch_loss=None, arch_lr=None), ALPHAS)
        assert column(project, "train/loss") == [("1", "1.0")]
        watch(epoch(2), ALPHAS)
        assert column(project, "validation/dice") == [("1", "0.1"), ("2", "0.2")]
        assert column(project, "lr/alphas") == [("2", "0.02")]
        last = json.loads((project / "artifacts/live/leaf/metrics.json").read_text())
    assert last == {
        "train": {"loss": 0.5, "arch_loss": 0.7},
        "validation": {"dice": 0.2},
        "lr": {"adapters": 0.002, "decoder": 0.0005, "alphas": 0.02},
        "alphas": {"entropy": 0.9},
        "step": 2,
    }


def test_a_run_that_goes_on_repeats_no_step(project):
    with suppress(KeyboardInterrupt), curves(StagePaths(project), "leaf", tensorboard=False) as watch:
        watch(epoch(1), ALPHAS)
        watch(epoch(2), ALPHAS)
        raise KeyboardInterrupt
    with curves(StagePaths(project), "leaf", tensorboard=False) as watch:
        for number in (1, 2, 3):
            watch(epoch(number), ALPHAS)
    assert [step for step, _ in column(project, "train/loss")] == ["1", "2", "3"]


def test_git_and_dvc_are_left_alone_even_within_an_experiment(project, monkeypatch):
    commits, refs = git(project, "rev-list", "--all"), git(project, "for-each-ref")
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", git(project, "rev-parse", "HEAD").strip())
    with curves(StagePaths(project), "leaf", tensorboard=False) as watch:
        watch(epoch(1), ALPHAS)
    assert git(project, "status", "--porcelain") == ""
    assert (git(project, "rev-list", "--all"), git(project, "for-each-ref")) == (commits, refs)
    written = {path.name for path in (project / "artifacts").rglob("*") if path.is_file()}
    assert not {"dvc.yaml", "report.html", "report.md", "params.yaml", ".gitignore"} & written
    assert not list((project / ".dvc/tmp/exps/run").glob("*"))


def test_outside_of_dvc_nothing_is_logged_and_no_repository_becomes_one_of_dvc(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    monkeypatch.chdir(tmp_path)
    with curves(StagePaths(tmp_path), "leaf", tensorboard=False) as watch:
        watch(epoch(1), ALPHAS)
    assert [path.name for path in tmp_path.iterdir()] == [".git"]


def test_a_repository_without_a_commit_is_told_to_make_one(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(PipelineError, match="the last commit.*commit once"),
        curves(StagePaths(tmp_path), "leaf", tensorboard=False),
    ):
        pass


def test_tensorboard_gets_scalars_and_alphas_of_this_run_alone(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    paths = StagePaths(tmp_path, "trial")
    for numbers in ((1, 2, 3), (1, 2)):
        with curves(paths, "leaf", tensorboard=True) as watch:
            for number in numbers:
                watch(epoch(number), ALPHAS)
    events = accumulator.EventAccumulator(str(tmp_path / "runs/trial/tensorboard/leaf")).Reload()
    assert [(one.step, one.value) for one in events.Scalars("train/loss")] == [(1, 1.0), (2, 0.5)]
    assert events.Scalars("alphas/blocks.0.attn.qkv/conv_3x3")[-1].value == 0.25


def test_missing_tensorboard_is_answered_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(ConfigError, match=r"train.tensorboard is true.*\[tensorboard\]"),
        curves(StagePaths(tmp_path), "leaf", tensorboard=True),
    ):
        pass


@pytest.mark.parametrize("module", [stages.curves, stages.console])
def test_what_draws_is_loaded_when_there_is_something_to_draw(module):
    top = ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
    names = {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    assert "contextlib" in names or "atexit" in names
    assert not {name.partition(".")[0] for name in names} & {"dvclive", "dvc", "torch", "rich", "tensorboard"}


def test_dvc_keeps_its_statistics_to_itself(monkeypatch):
    config = ConfigParser()
    config.read(ROOT / ".dvc" / "config")
    assert not config["core"].getboolean("analytics")
    assert not config["core"].getboolean("check_update")
    assert "studio" not in config
    monkeypatch.delenv("DVC_NO_ANALYTICS", raising=False)
    assert dvc.environment()["DVC_NO_ANALYTICS"] == "1"
