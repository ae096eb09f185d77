"""`naslora predict` as a user runs it, with a SAM of random weights in service."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from naslora_core.merge.fold import fold
from naslora_core.merge.merged import save_merged
from naslora_core.sam.build import build_sam
from pipelines.cli.app import app

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project whose model was trained on images of 60 to 90 pixels."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(REPOSITORY / "params.yaml", root)
    (root / "dvc.yaml").touch()
    torch.manual_seed(3)
    folder = root / "serving" / "leaf"
    folder.mkdir(parents=True)
    seen = {"median_side_px": 80, "largest_side_px": 90, "classes": ["spot"]}
    save_merged(folder, fold(build_sam("sam_tiny", 128)), "sam_tiny", "fold", {"training_images": seen})
    rng = np.random.default_rng(1)
    for name, shape in (("a", (60, 70)), ("deep/wide", (80, 200))):
        path = root / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, size=(*shape, 3)).astype(np.uint8)).save(path)
    (root / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return root


def predict(root, monkeypatch, *options):
    monkeypatch.chdir(root)
    return CliRunner().invoke(app, ["predict", "photos", "--domain", "leaf", "--out", "masks", "--recursive", *options])


def test_a_run_tells_what_failed_and_a_resumed_one_does_only_that(root, monkeypatch):
    first = predict(root, monkeypatch, "--polygons", "coco", "--json", "--device", "cpu")
    assert first.exit_code == 1
    told = json.loads(first.stdout)
    assert (told["images"], told["predicted"], told["kept"]) == (3, 2, 0)
    assert [failed["file"] for failed in told["failed"]] == ["photos/broken.jpg"]
    assert len(json.loads((root / "masks" / "annotations.json").read_text())["images"]) == 2
    # The wide one is more than twice as long as any training image, so it was cut into tiles of their median.
    table = (root / "masks" / "predictions.csv").read_text().splitlines()
    assert [line.split(",")[1:5] for line in table[1:]][-1] == ["deep/wide", "200", "80", "3"]
    assert Image.open(root / "masks" / "deep" / "wide_mask.png").size == (200, 80)

    shutil.copy(root / "photos" / "a.png", root / "photos" / "broken.jpg")
    before = (root / "masks" / "a_mask.png").stat().st_mtime_ns
    again = predict(root, monkeypatch, "--resume")
    assert again.exit_code == 0, again.output
    assert "3 masks in masks" in again.output
    assert "2 of an earlier run" in again.output
    assert "Next: look at masks/" in again.output
    assert (root / "masks" / "a_mask.png").stat().st_mtime_ns == before
    assert predict(root, monkeypatch).exception.args[0].startswith("masks/predictions.json exists; --resume")


def test_a_device_that_is_not_there_is_named(root, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = predict(root, monkeypatch, "--device", "cuda", "--force")
    assert "device 'cuda' is not usable here; use auto (now cpu), cpu or cuda" in str(result.exception)


def test_flips_and_the_models_own_threshold_reach_the_masks(root, monkeypatch):
    """As params.yaml says, or the option; what was used is in predictions.json."""
    params = (root / "params.yaml").read_text()
    for old, new in (("  threshold: 0.5", "  threshold: auto"), ("  flips: none", "  flips: horizontal")):
        assert params.count(old) == 1
        params = params.replace(old, new)
    other = root.parent / "flipped"
    shutil.copytree(root, other, ignore=shutil.ignore_patterns("masks", "broken.jpg"))
    (other / "params.yaml").write_text(params)
    notes = other / "serving" / "leaf" / "model.json"
    notes.write_text(json.dumps(json.loads(notes.read_text()) | {"threshold": 0.35}))
    written = {}
    for flips in ("", "none", "all"):
        options = ["--probability", "float32", "--device", "cpu", *(["--flips", flips] if flips else [])]
        assert predict(other, monkeypatch, *options, "--force").exit_code == 0
        used = json.loads((other / "masks" / "predictions.json").read_text())
        assert (used["threshold"], used["flips"]) == (0.35, flips or "horizontal")
        written[flips] = np.asarray(Image.open(other / "masks" / "a_probability.tif"))
        mask = np.asarray(Image.open(other / "masks" / "a_mask.png"))
        np.testing.assert_array_equal(mask > 0, written[flips] > np.float32(0.35))
    assert np.abs(written["none"] - written[""]).max() > 1e-5
    assert np.abs(written["all"] - written[""]).max() > 1e-5
