"""`naslora checkpoint`: what a file is, and the settings that train on it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from naslora_core.sam.checkpoint import checkpoint_sha256
from pipelines.cli import app as cli
from pipelines.cli.app import app


@pytest.fixture
def wrapped(base_file: Path, tmp_path: Path) -> Path:
    """The weights of a sam_tiny as a training framework saves them, without the mask decoder."""
    weights = {key: value.half() for key, value in load_file(base_file).items() if not key.startswith("mask_decoder")}
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {f"model.{key}": value for key, value in weights.items()}, "epoch": 2}, path)
    return path


def test_the_table_says_what_is_used_and_the_settings_follow(wrapped: Path):
    result = CliRunner().invoke(app, ["checkpoint", str(wrapped)])
    assert result.exit_code == 0, result.output
    for line in (
        "size          sam_tiny (8 blocks of width 192, 256 px)",
        "precision     float16, read as float32",
        "taken off     state_dict, model.",
        "left out      beside the weights: epoch",
        "starts fresh  mask_decoder from seed 0",
        f"SHA-256       {checkpoint_sha256(wrapped)}",
        f"  model:\n    name: sam_tiny\n    checkpoint: {wrapped}\n",
        f"--set model.name=sam_tiny --set model.checkpoint={wrapped}",
    ):
        assert line in result.output


def test_programs_get_one_document(wrapped: Path):
    result = CliRunner().invoke(app, ["checkpoint", str(wrapped), "--json"])
    found = json.loads(result.stdout)
    assert (found["family"], found["name"], found["layout"]) == ("sam", "sam_tiny", "image encoder alone")
    assert found["fresh"] == ["mask_decoder"]


def test_a_size_that_no_model_has_is_said(base_file: Path, tmp_path: Path):
    weights = {key: value for key, value in load_file(base_file).items() if "blocks.7" not in key}
    torch.save(weights, tmp_path / "a.pth")
    result = CliRunner().invoke(app, ["checkpoint", str(tmp_path / "a.pth")])
    assert "no model.name has 7 blocks of width 192, 256 px" in result.output


def test_what_is_no_checkpoint_is_one_message(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["naslora", "checkpoint", str(tmp_path / "none.pth")])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert "none.pth not found; give the path of a weight file" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["--help"], ["checkpoint", "--help"], ["export", "hf", "--help"]])
def test_help_is_shown_without_loading_what_computes(command: list[str]) -> None:
    script = """
import sys
from pipelines.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    assert not end.code
heavy = {"torch", "transformers", "timm", "safetensors", "numpy", "segment_anything", "onnx"} & set(sys.modules)
sys.exit(str(sorted(heavy)) if heavy else 0)
"""
    found = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert "Usage" in found.stdout
