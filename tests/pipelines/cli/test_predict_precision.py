"""`naslora predict` in float32 gives what the exported ONNX file gives; bf16 gives something near."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tifffile
import torch
from PIL import Image
from typer.testing import CliRunner

from naslora_core.export.onnx_file import export_onnx
from naslora_core.merge.exact import exact
from naslora_core.merge.merged import save_merged
from naslora_core.sam import precision
from naslora_core.sam.build import build_sam
from naslora_core.sam.classes import set_class_count
from naslora_core.sam.specs import MODEL_SPECS
from pipelines.cli.app import app

REPOSITORY = Path(__file__).parents[3]
SIDE = 96


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with a merged model of two classes in service, its ONNX file, and images of the model's own size.

    At that size nothing is resized, which the exported file leaves to whoever uses it.
    """
    small = replace(
        MODEL_SPECS["sam_tiny"], image_size=SIDE, encoder_width=48, encoder_depth=2, window_size=4, embed_channels=32,
        decoder_mlp_dim=32, iou_head_hidden_dim=16, global_attn_indexes=(1,), use_rel_pos=True,
    )  # fmt: skip
    root = tmp_path_factory.mktemp("project")
    shutil.copy(REPOSITORY / "params.yaml", root)
    (root / "dvc.yaml").touch()
    rng = np.random.default_rng(2)
    (root / "photos").mkdir()
    for name in "abc":
        pixels = rng.integers(0, 120, size=(SIDE, SIDE, 3))
        pixels[:, np.arange(SIDE) % 30 < 12] += 100
        Image.fromarray(pixels.astype(np.uint8)).save(root / "photos" / f"{name}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODEL_SPECS, "sam_tiny", small)
        torch.manual_seed(4)
        sam = build_sam("sam_tiny")
        set_class_count(sam, 2)
        folder = root / "serving" / "leaf"
        folder.mkdir(parents=True)
        save_merged(folder, exact(sam), "sam_tiny", "exact", {"base": {"sha256": "0" * 64}, "domain": "leaf"})
        export_onnx(folder, root / "leaf.onnx")
        yield root


def predict(root, monkeypatch, out, *options):
    """Return the probabilities (3, K, SIDE, SIDE) of the images, and the summary."""
    monkeypatch.chdir(root)
    command = ["predict", "photos", "--domain", "leaf", "--out", out, "--tile", "off", "--device", "cpu", "--json"]
    result = CliRunner().invoke(app, [*command, "--probability", "float32", "--force", *options])
    assert result.exit_code == 0, result.output
    written = [tifffile.imread(root / out / f"{name}_probability.tif") for name in "abc"]
    return np.stack(written), json.loads(result.stdout)


def exported(root):
    images = np.stack([np.asarray(Image.open(root / "photos" / f"{name}.png")).transpose(2, 0, 1) for name in "abc"])
    session = onnxruntime.InferenceSession(root / "leaf.onnx", providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"images": images})[0]


def test_float32_is_what_the_onnx_file_gives_and_bf16_is_not(root, monkeypatch):
    wanted = exported(root)
    found, told = predict(root, monkeypatch, "float32", "--precision", "float32")
    assert (
        told["precision"] == json.loads((root / "float32" / "predictions.json").read_text())["precision"] == "float32"
    )
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    other, told = predict(root, monkeypatch, "bf16", "--precision", "bf16")
    assert told["precision"] == json.loads((root / "bf16" / "predictions.json").read_text())["precision"] == "bf16"
    # What is compared above can differ.
    assert np.abs(other - wanted).max() > 1e-4
    np.testing.assert_allclose(other, wanted, atol=0.01)


def test_masks_in_float32_are_those_of_the_onnx_file(root, monkeypatch):
    wanted = exported(root)
    predict(root, monkeypatch, "masks", "--precision", "float32", "--mask-palette", "none")
    scores = np.concatenate([1 - wanted.sum(axis=1, keepdims=True), wanted], axis=1)
    ids = np.stack([np.asarray(Image.open(root / "masks" / f"{name}_mask.png")) for name in "abc"])
    first, second = np.sort(scores, axis=1)[:, -1], np.sort(scores, axis=1)[:, -2]
    assert len(np.unique(ids)) > 1
    np.testing.assert_array_equal(ids[first - second > 1e-5], scores.argmax(axis=1)[first - second > 1e-5])


@pytest.mark.parametrize(
    ("has_bf16", "options", "name"), [(True, (), "bf16"), (False, ("--precision", "auto"), "float32")]
)
def test_auto_is_bf16_where_the_processor_computes_in_it(root, monkeypatch, has_bf16, options, name):
    monkeypatch.setattr(precision, "has_fast_bf16", lambda device: has_bf16)
    assert predict(root, monkeypatch, "auto", *options)[1]["precision"] == name
    assert json.loads((root / "auto" / "predictions.json").read_text())["precision"] == name
