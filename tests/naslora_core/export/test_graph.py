"""ONNX files and torch programs of merged models, made of a SAM of two small blocks with random weights."""

import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import describe_base
from naslora_core.config import load_params
from naslora_core.errors import ConfigError, ExportError
from naslora_core.export import graph, onnx_file
from naslora_core.export.onnx_file import export_onnx
from naslora_core.export.torch_program import ABOUT_FILE, export_torch_program
from naslora_core.merge.exact import exact
from naslora_core.merge.fold import fold
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.classes import set_class_count
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.specs import MODEL_SPECS
from naslora_core.sam.weights import save_weights

PARAMS = Path(__file__).parents[3] / "params.yaml"
DOCS = Path(__file__).parents[3] / "docs" / "export.md"
SIZE = 96


@pytest.fixture(scope="module", autouse=True)
def _small_sam():
    """Tracing takes seconds for each block; these two are one with windows that need padding, and a global one."""
    small = replace(
        MODEL_SPECS["sam_tiny"], image_size=SIZE, encoder_width=48, encoder_depth=2, window_size=4, embed_channels=32,
        decoder_mlp_dim=32, iou_head_hidden_dim=16, global_attn_indexes=(1,), use_rel_pos=True,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODEL_SPECS, "sam_tiny", small)
        yield


def save_small(root, merge, method, classes=1):
    """Save a merge of a moved adapter, and return its folder."""
    torch.manual_seed(5)
    save_weights(root / "base.safetensors", build_sam("sam_tiny").state_dict(), {})
    params = load_params(PARAMS)
    model = params.model.model_copy(update={"checkpoint": root / "base.safetensors"})
    sam = load_base(model)
    set_class_count(sam, classes)
    search = params.search.model_copy(update={"budget": "none", "space": "linear"})
    qkv = params.adapter.model_copy(update={"method": method, "rank": 4, "target_modules": ("attn.qkv",)})
    layers = add_adapters(sam, qkv, search, seed=1)
    for layer in layers.values():
        torch.nn.init.normal_(layer.lora_B, std=0.05)
    folder = root / "merged"
    folder.mkdir()
    save_merged(
        folder, merge(sam), "sam_tiny", merge.__name__, {"base": dict(describe_base(model)), "domain": "leaves"}
    )
    return folder


def stripes(batch):
    """Images (batch, 3, SIZE, SIZE) uint8 that the export's own check has not seen."""
    rng = np.random.default_rng(batch)
    images = rng.integers(0, 120, size=(batch, 3, SIZE, SIZE))
    images[..., np.arange(SIZE) % 30 < 12] += 100
    return images.astype(np.uint8)


def expected(folder, images):
    """Logits, and probabilities as `Predictor` makes them: upscaled first, then against a background of 0."""
    with torch.no_grad():
        segmenter = PromptFreeSegmenter(load_merged(folder))
        low = segmenter(torch.from_numpy(images))
        logits = segmenter.upscale(low).double().exp()
    return low.numpy(), (logits / (1 + logits.sum(dim=1, keepdim=True))).numpy()


@pytest.fixture(scope="module")
def onnx_file_of_folded(tmp_path_factory):
    """A folded model of three classes, its ONNX file, and what the export said."""
    folder = save_small(tmp_path_factory.mktemp("folded"), fold, "nas_lora", 3)
    target = folder.parent / "out" / "leaves.onnx"
    return folder, target, export_onnx(folder, target)


@pytest.fixture(scope="module")
def program_of_exact(tmp_path_factory):
    """An exactly merged model of one class, its torch program, and what the export said."""
    folder = save_small(tmp_path_factory.mktemp("exact"), exact, "lora")
    target = folder.parent / "leaves.pt2"
    return folder, target, export_torch_program(folder, target)


def test_onnx_runtime_gives_the_masks_of_the_merged_model_for_any_batch(onnx_file_of_folded):
    folder, file, _ = onnx_file_of_folded
    session = onnxruntime.InferenceSession(str(file))
    for batch in (1, 3):
        images = stripes(batch)
        low, probabilities = session.run(["low_res_masks", "probabilities"], {"images": images})
        assert probabilities.shape == (batch, 3, SIZE, SIZE)
        assert low.std() > 0.01
        for found, wanted in zip((low, probabilities), expected(folder, images), strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_onnx_runtime_refuses_pixels_of_another_type_or_size(onnx_file_of_folded):
    session = onnxruntime.InferenceSession(str(onnx_file_of_folded[1]))
    for wrong in (stripes(1).astype(np.float32) / 255, stripes(1)[..., :64]):
        with pytest.raises(Exception, match="Unexpected input data type|Got invalid dimensions"):
            session.run(None, {"images": wrong})


def test_an_onnx_file_says_what_it_is_and_how_far_it_is_from_the_model(onnx_file_of_folded):
    _, file, exported = onnx_file_of_folded
    model = onnx.load(file)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == int(about["opset"]) == 18
    assert (about["domain"], about["classes"], about["merge_mode"]) == ("leaves", "3", "fold")
    assert float(about["largest_logit_difference"]) == pytest.approx(exported.difference, rel=0.01)
    assert 0 < exported.difference < 1e-3


@pytest.mark.slow
def test_the_lines_that_an_export_prints_run(onnx_file_of_folded, program_of_exact):
    for _, _, exported in (onnx_file_of_folded, program_of_exact):
        names: dict = {}
        exec(exported.lines, names)
        assert names["probabilities"].shape[-2:] == (SIZE, SIZE)


def test_a_torch_program_gives_the_masks_of_the_merged_model_for_any_batch(program_of_exact):
    folder, file, exported = program_of_exact
    notes = {ABOUT_FILE: ""}
    program = torch.export.load(file, extra_files=notes).module()
    for batch in (1, 3):
        images = stripes(batch)
        for found, wanted in zip(program(torch.from_numpy(images)), expected(folder, images), strict=True):
            np.testing.assert_allclose(found.detach(), wanted, atol=1e-4)
    about = json.loads(notes[ABOUT_FILE])
    assert float(about["largest_logit_difference"]) == pytest.approx(exported.difference, rel=0.01)
    with pytest.raises(Exception, match="96"):
        program(torch.from_numpy(stripes(1)[..., :64]))


def test_a_torch_program_holds_nothing_pickled(program_of_exact):
    with zipfile.ZipFile(program_of_exact[1]) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    configs = [json.loads(content)["config"] for name, content in contents.items() if name.endswith("_config.json")]
    assert len(configs) == 2
    assert not any(entry["use_pickle"] for config in configs for entry in config.values())
    # A pickle of torch is an archive inside the archive.
    assert not [name for name, content in contents.items() if content.startswith((b"PK", b"\x80\x02"))]


@pytest.mark.slow
def test_a_file_that_computes_something_else_takes_no_place(program_of_exact, tmp_path, monkeypatch):
    folder, file, _ = program_of_exact
    traced = torch.export.load(file)
    monkeypatch.setattr(torch.export, "export", lambda *_, **__: traced)
    monkeypatch.setattr(graph, "LARGEST_DIFFERENCE", -1.0)
    target = tmp_path / "leaves.pt2"
    target.write_text("an earlier export")
    with pytest.raises(ExportError, match=r"leaves.pt2 is not written: its low_res_masks differ"):
        export_torch_program(folder, target)
    assert target.read_text() == "an earlier export"
    assert list(tmp_path.iterdir()) == [target]


def test_results_that_are_no_numbers_fail_the_check(program_of_exact, tmp_path):
    source = graph.read_source(program_of_exact[0])

    def run(images):
        outputs = dict(zip(graph.OUTPUTS, source.graph(images), strict=True))
        return outputs | {"probabilities": outputs["probabilities"] * torch.nan}

    with pytest.raises(ExportError, match="its probabilities differ"):
        graph.largest_difference(source, run, tmp_path / "leaves.onnx")


def test_missing_packages_name_the_extra_that_brings_them(monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_file, "_PACKAGES", ("onnx", "onnx_of_tomorrow"))
    with pytest.raises(ConfigError, match=r"needs onnx_of_tomorrow.*pip install 'naslora\[onnx\]'"):
        export_onnx(tmp_path, tmp_path / "leaves.onnx")


def test_a_model_too_large_for_an_onnx_file_is_refused_before_the_work(program_of_exact, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "_LARGEST_WEIGHTS", 1000)
    with pytest.raises(ExportError, match="of weights, and an ONNX file holds at most 2; use naslora export torch"):
        export_onnx(program_of_exact[0], tmp_path / "leaves.onnx")


def test_the_example_of_the_documentation_finds_what_predictor_finds(onnx_file_of_folded, tmp_path, monkeypatch):
    folder, file, _ = onnx_file_of_folded
    (example,) = re.findall(r"```python\n(import numpy.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(file, "leaves.onnx")
    photo = np.kron(stripes(1)[0].transpose(1, 2, 0)[:60], np.ones((3, 3, 1), np.uint8))
    Image.fromarray(photo).save("photo.jpg", format="PNG")
    names: dict = {}
    exec(example, names)
    found = np.asarray(names["found"].resize(names["photo"].size, Image.Resampling.BILINEAR))
    wanted = Predictor.merged(folder, "fp32")([photo])[0][0]
    assert found.shape == wanted.shape == (180, 288)
    # The square around the image is (124, 116, 104) here, and SAM's mean colour with its decimals there.
    np.testing.assert_allclose(found, wanted, atol=0.02)
    np.testing.assert_array_equal(np.asarray(Image.open("mask.png")) > 0, names["mask"])
