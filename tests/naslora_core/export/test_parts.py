"""Exports of models that were trained on crops, or refine masks by a detail path."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import load_adapted, save_adapted
from naslora_core.config import AdapterConfig, load_params
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.export.adapter_folder import export_adapter_folder
from naslora_core.export.graph import CHECKED_BATCHES, read_source
from naslora_core.export.onnx_file import export_onnx
from naslora_core.export.peft_folder import CARD_FILE, export_peft_folder
from naslora_core.export.sam_checkpoint import export_sam_checkpoint
from naslora_core.export.torch_program import export_torch_program
from naslora_core.merge.certificate import certify
from naslora_core.merge.choose import Choice
from naslora_core.merge.context import Attempt
from naslora_core.merge.exact import exact
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.head import MaskHead, head_of, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import read_weights, save_weights
from naslora_core.validation import mean_dice
from tests.naslora_core.export.test_graph import PARAMS, SIZE, _small_sam, stripes  # noqa: F401


def make_sam(head, seed=5):
    """A SAM of two small blocks whose detail path, if it has one, no longer gives the enlarged masks."""
    torch.manual_seed(seed)
    sam = build_sam("sam_tiny")
    set_head(sam, head)
    if head.detail != "off":
        torch.nn.init.normal_(sam.mask_decoder.detail.out.weight, std=0.3)
    return sam


def save(folder, head):
    folder.mkdir()
    sam = make_sam(head)
    add_adapters_of_lora(sam)
    save_merged(folder, exact(sam), "sam_tiny", "exact", {"base": {"sha256": "0" * 64}, "domain": "cracks"})
    return folder


def add_adapters_of_lora(sam):
    config = AdapterConfig(method="lora", rank=4, lora_alpha=8, target_modules=("attn.qkv",))
    layers = add_adapters(sam, config, load_params(PARAMS).search, seed=1)
    for layer in layers.values():
        torch.nn.init.normal_(layer.lora_B, std=0.05)
    return config, layers


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """Larger than the input along one side, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    pixels = np.kron(stripes(1)[0].transpose(1, 2, 0)[:80], np.ones((1, 3, 1), np.uint8))
    Image.fromarray(pixels).save("photo.jpg", format="PNG")
    return pixels


def run(lines, **names):
    exec(lines, names)
    return names


def same_as_predictor(folder, photo, found):
    """Compare logits, and the mask at the median, where there is an edge to disagree about."""
    wanted = Predictor.merged(folder, "fp32").logits([photo])[0]
    assert wanted.shape == found.shape
    threshold = float(np.median(wanted[0]))
    assert ((wanted[0] > threshold) == (found[0] > threshold)).mean() > 0.99
    return np.abs(wanted - found).max() / np.abs(wanted).max()


@pytest.mark.slow
@pytest.mark.parametrize(("head", "shape"), [(MaskHead(2, "half", 1.0), (3, 2, 48, 48))])
def test_the_lines_of_an_onnx_file_tile_and_blend_as_predictor_does(head, shape, tmp_path, photo):
    folder = save(tmp_path / "merged", head)
    exported = export_onnx(folder, tmp_path / "cracks.onnx")
    names = run(exported.lines)
    assert same_as_predictor(folder, photo, names["logits"]) < 1e-3
    assert set(np.unique(names["mask"])) <= {0, 1, 2}
    about = names["session"].get_modelmeta().custom_metadata_map
    assert (about["detail"], about["scale"], about["window_px"], about["overlap_px"]) == ("half", "1.0", "96", "6")
    low, whole = names["session"].run(None, {"images": np.zeros((3, 3, SIZE, SIZE), np.uint8)})
    assert (low.shape, whole.shape) == (shape, (3, 2, SIZE, SIZE))


@pytest.mark.parametrize("scale", [1.6, 0.75])
def test_the_lines_of_a_torch_program_resize_parts_as_the_training_did(scale, tmp_path, photo):
    folder = save(tmp_path / "merged", MaskHead(1, "full", scale))
    exported = export_torch_program(folder, tmp_path / "cracks.pt2")
    assert same_as_predictor(folder, photo, run(exported.lines)["logits"]) < 1e-2


def test_a_whole_image_model_with_a_detail_path_says_nothing_of_tiles(tmp_path):
    source = read_source(save(tmp_path / "merged", MaskHead(1, "full")))
    assert source.about["detail"] == "full"
    assert not {"scale", "window_px", "tiling"} & source.about.keys()
    assert "longer side resized to 96" in source.about["input"]
    low, probabilities = source.graph(source.images(CHECKED_BATCHES[0]))
    assert low.shape == probabilities.shape == (1, 1, SIZE, SIZE)


def test_a_checkpoint_for_sam_has_upstreams_keys_says_what_it_lacks_and_tiles(tmp_path, photo):
    folder = save(tmp_path / "merged", MaskHead(1, "half", 1.0))
    lines = export_sam_checkpoint(folder, tmp_path / "cracks.pth")
    assert "Left out: the detail path (half), which SAM does not have; what that costs is not in" in lines
    assert torch.load(tmp_path / "cracks.pth", weights_only=True).keys() == build_sam("sam_tiny").state_dict().keys()
    certificate = {"validation_dice_after": 0.48, "validation_dice_without_detail": 0.451}
    (folder / "certificate.json").write_text(json.dumps(certificate))
    lines = export_sam_checkpoint(folder, tmp_path / "cracks.pth")
    assert "validation Dice is 0.4800 with it and 0.4510 without it" in lines
    assert "parts of 96 px of an image that overlap by 6 px" in lines
    found = run(lines)["logits"]
    plain = load_merged(folder)
    plain.mask_decoder.detail = None
    wanted = Predictor(plain, "fp32").logits([photo])[0]
    assert ((found > 0) == (wanted > 0)).mean() > 0.999
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())


def test_a_peft_folder_has_no_detail_path_and_its_card_says_how_to_cut_images(tmp_path):
    folder = save(tmp_path / "merged", MaskHead(1, "half", 0.5))
    load = export_peft_folder(folder, tmp_path / "lora")
    weights = read_weights(tmp_path / "lora" / "adapter_model.safetensors")
    assert not [key for key in weights if ".detail." in key]
    card = (tmp_path / "lora" / CARD_FILE).read_text(encoding="utf-8")
    for text in (load, card):
        assert "# Left out: the detail path (half)" in text
        assert "window, overlap = 192, 12" in text


def test_an_adapter_folder_carries_head_and_says_who_cuts(tmp_path):
    torch.manual_seed(3)
    save_weights(tmp_path / "base.safetensors", build_sam("sam_tiny").state_dict(), {})
    # Not the fixture of all tests, whose file would be one of the small SAM.
    config = load_params(PARAMS).model.model_copy(update={"checkpoint": tmp_path / "base.safetensors"})
    sam = load_base(config)
    set_head(sam, MaskHead(1, "half", 2.0))
    adapter, layers = add_adapters_of_lora(sam)
    (trained := tmp_path / "trained").mkdir()
    save_adapted(trained, PromptFreeSegmenter(sam), layers, config, adapter, load_params(PARAMS).search, 1)
    lines = export_adapter_folder(trained, tmp_path / "adapter")
    assert "# It was trained on crops at scale 2" in lines
    assert head_of(load_adapted(tmp_path / "adapter", config)[0].sam) == MaskHead(1, "half", 2.0)


def test_a_certificate_says_what_a_model_scores_without_its_detail_path_and_only_then(prepared):
    images, masks = prepared.images[:, 60:156, 60:156], prepared.masks[:, 60:156, 60:156]
    data = PreparedData(images, masks, [(SIZE, SIZE)] * 5, [(SIZE, SIZE)] * 5, prepared.names)
    attempt = Attempt(mode="exact", validation_dice=0.5, metric_drop=0, passed=True, message="")
    dice = {}
    for detail in ("off", "half"):
        sam = make_sam(MaskHead(1, detail))
        choice = Choice("exact", exact(make_sam(MaskHead(1, detail))), "", [attempt], 0.5, 0.5)
        notes = certify(choice, build_sam("sam_tiny"), sam, data, 0.01).notes()
        assert ("validation_dice_without_detail" in notes) == (detail == "half")
        dice[detail] = mean_dice(PromptFreeSegmenter(choice.merged.sam), data, "fp32")
        assert choice.merged.sam.mask_decoder.state_dict().keys() == sam.mask_decoder.state_dict().keys()
    # Both decoders are the same but for the path.
    assert notes["validation_dice_without_detail"] == pytest.approx(dice["off"], abs=1e-6)
    assert dice["half"] != pytest.approx(dice["off"], abs=1e-3)
