"""Image files for a model that was trained on crops: tiles of its own size, whose logits are blended."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from typer.testing import CliRunner

from naslora_core.errors import ConfigError
from naslora_core.merge.exact import exact
from naslora_core.merge.merged import save_merged
from naslora_core.predict import Predictor, to_probabilities
from naslora_core.progress import silent
from naslora_core.sam import tiled
from naslora_core.sam.build import build_sam
from naslora_core.sam.head import MaskHead, set_head
from pipelines.cli.app import app
from pipelines.predict.files import TileChoice, predict_files
from pipelines.predict.inputs import InputImage
from pipelines.predict.outputs import OutputChoice
from pipelines.predict.run import choose_tiles

REPOSITORY = Path(__file__).parents[3]
SHAPES = {"small": (50, 70), "wide": (100, 300), "window": (64, 64)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project whose models see 64 px of an image in an input of 128, one class with and two without detail path."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(REPOSITORY / "params.yaml", root)
    (root / "dvc.yaml").touch()
    for name, head in {"cracks": MaskHead(1, "half", 2.0), "cells": MaskHead(2, "off", 2.0)}.items():
        torch.manual_seed(3)
        sam = build_sam("sam_tiny", 128)
        set_head(sam, head)
        (folder := root / "serving" / name).mkdir(parents=True)
        save_merged(folder, exact(sam), "sam_tiny", "exact", {"base": {"sha256": "0" * 64}})
    rng = np.random.default_rng(1)
    (root / "photos").mkdir()
    for name, shape in SHAPES.items():
        Image.fromarray(rng.integers(0, 256, size=(*shape, 3)).astype(np.uint8)).save(root / "photos" / f"{name}.png")
    return root


def predict(root, monkeypatch, name, *options):
    monkeypatch.chdir(root)
    command = ["predict", "photos", "--domain", name, "--out", name, "--device", "cpu", "--precision", "float32"]
    return CliRunner().invoke(app, [*command, "--probability", "float32", "--force", *options])


@pytest.mark.parametrize("name", ["cracks", "cells"])
def test_files_have_what_predictor_finds_by_itself(root, monkeypatch, name):
    result = predict(root, monkeypatch, name)
    assert result.exit_code == 0, result.output
    with (root / name / "predictions.csv").open() as file:
        tiles = {row["name"]: row["tiles"] for row in csv.DictReader(file)}
    assert tiles == {"small": "2", "wide": "10", "window": "1"}
    direct = Predictor.merged(root / "serving" / name, "fp32", "cpu")
    for image in SHAPES:
        wanted = direct([np.asarray(Image.open(root / "photos" / f"{image}.png"))])[0]
        found = tifffile.imread(root / name / f"{image}_probability.tif")
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert json.loads((root / name / "predictions.json").read_text())["overlap"] == tiled.OVERLAP


def test_what_the_model_cannot_see_is_refused_before_anything_is_written(root, monkeypatch):
    for tile in ("off", "65"):
        error = predict(root, monkeypatch, "cracks", "--out", "new", "--tile", tile).exception
        assert f"--tile is {tile}, but the model was trained on crops and sees 64 px" in str(error)
    assert not (root / "new").exists()
    with pytest.raises(ConfigError, match="use auto, off, or a side in pixels"):
        choose_tiles("16", None, None, 64)
    assert choose_tiles("40", None, None, 64).side((500, 500)) == 40


def test_tiles_are_not_cut_twice_and_overlap_as_asked_for(root, monkeypatch):
    monkeypatch.setattr(tiled, "tiled_logits", None)
    monkeypatch.setattr("naslora_core.predict.tiled_logits", None)
    result = predict(root, monkeypatch, "cracks", "--overlap", "0.5", "--out", "half", "--batch", "3")
    assert result.exit_code == 0, result.output
    assert json.loads((root / "half" / "predictions.json").read_text())["overlap"] == 0.5


def test_logits_are_blended_and_become_probabilities_after_that(tmp_path):
    image = np.zeros((60, 90, 3), np.uint8)
    image[:, 45:] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    pieces = []

    def by_order(images):
        """A tile's logits say which tile it is, so that a blend of two lies between them."""
        pieces.extend(range(len(pieces), len(pieces) + len(images)))
        return [
            np.full((1, *one.shape[:2]), 8.0 * (-1) ** number, np.float32)
            for one, number in zip(images, pieces[-len(images) :], strict=True)
        ]

    tiles = TileChoice(lambda _: 60, 0.5, has_logits=True)
    choice = OutputChoice(tmp_path / "out", 0.5, ("crack",), probability="float32")
    predict_files(by_order, [InputImage(tmp_path / "a.png", "a")], tiles, choice, 4, silent, [])
    assert pieces == [0, 1]
    row = tifffile.imread(tmp_path / "out" / "a_probability.tif")[0]
    logits = np.log(row.astype(np.float64) / (1 - row))
    expected = 8 * np.cos(np.pi * (np.arange(30) + 0.5) / 30)
    np.testing.assert_allclose(logits[30:60], expected, atol=0.02)
    np.testing.assert_allclose(row[30], to_probabilities(np.full((1, 1, 1), expected[0], np.float32))[0, 0], rtol=1e-4)
