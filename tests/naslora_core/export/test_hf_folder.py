"""Folders for transformers load offline, give the model's masks, and come back as they went."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from naslora_core.config import ModelConfig
from naslora_core.errors import MergeError
from naslora_core.export.hf_folder import FILES, describe_model, export_hf_folder
from naslora_core.export.peft_folder import CARD_FILE, export_peft_folder
from naslora_core.export.sam_checkpoint import export_sam_checkpoint
from naslora_core.merge.exact import exact
from naslora_core.merge.layers import Merged
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam, normalise
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.layouts.hugging_face import to_hugging_face
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import read_weights
from tests.naslora_core.export.test_graph import PARAMS, SIZE, _small_sam, stripes  # noqa: F401
from tests.naslora_core.export.test_parts import add_adapters_of_lora, photo, run, same_as_predictor, save  # noqa: F401

transformers = pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def theirs(folder):
    model, report = transformers.SamModel.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    return model.eval()


@torch.no_grad()
def logits(model, images):
    pixels = normalise(build_sam("sam_tiny"), images)
    return model(pixel_values=pixels, multimask_output=False).pred_masks[:, 0]


@torch.no_grad()
def ours(sam, images):
    return PromptFreeSegmenter(sam).eval()(images)


def noise(size=SIZE):
    return torch.randint(0, 256, (2, 3, size, size), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)


def test_transformers_gives_the_merged_models_masks(tmp_path):
    merged = save(tmp_path / "merged", MaskHead())
    export_hf_folder(merged, tmp_path / "hf")
    assert {path.name for path in (tmp_path / "hf").iterdir()} == set(FILES)
    expected = ours(load_merged(merged), noise())
    assert expected.std() > 0.01
    torch.testing.assert_close(logits(theirs(tmp_path / "hf"), noise()), expected, rtol=0, atol=1e-4)


def test_the_printed_lines_run_as_they_are(tmp_path, photo):  # noqa: F811
    merged = save(tmp_path / "merged", MaskHead())
    names = run(export_hf_folder(merged, tmp_path / "hf"))
    found = names["masks_of"](Image.fromarray(photo), binarize=False)
    wanted = Predictor.merged(merged, "fp32").logits([photo])[0]
    assert names["mask"].shape == photo.shape[:2]
    # Photos are resized by Pillow here, and by torchvision there.
    assert np.abs(found - wanted).mean() < 0.05 * wanted.std()


def test_the_lines_of_a_model_of_crops_tile_and_blend_as_predictor_does(tmp_path, photo):  # noqa: F811
    merged = save(tmp_path / "merged", MaskHead(1, "off", 1.0))
    names = run(export_hf_folder(merged, tmp_path / "hf"))
    assert same_as_predictor(merged, photo, names["logits"]) < 1e-3


def test_a_detail_path_is_left_out_aloud(tmp_path):
    lines = export_hf_folder(save(tmp_path / "merged", MaskHead(1, "half")), tmp_path / "hf")
    assert "# Left out: the detail path (half)" in lines
    theirs(tmp_path / "hf")


def test_import_and_export_give_the_same_bits(tmp_path):
    torch.manual_seed(4)
    transformers.SamModel(transformers.SamConfig(**describe_model("sam_tiny", SIZE))).save_pretrained(tmp_path / "hf")
    model = ModelConfig(name="sam_tiny", checkpoint=tmp_path / "hf", image_size="native", precision="fp32")
    for name in ("again", "once_more"):
        sam = load_base(model)
        merged = tmp_path / f"merged_{name}"
        merged.mkdir()
        save_merged(merged, Merged(sam, {}), "sam_tiny", "exact", {"base": {"sha256": "0" * 64}})
        export_hf_folder(merged, tmp_path / name)
        first, second = (read_weights(tmp_path / at / "model.safetensors") for at in ("hf", name))
        assert first.keys() == second.keys()
        assert all(torch.equal(value, second[key]) for key, value in first.items())
        # The other way out and in again, too.
        export_sam_checkpoint(merged, tmp_path / f"{name}.pth")
        model = model.model_copy(update={"checkpoint": tmp_path / f"{name}.pth"})


def test_another_image_size_goes_with_the_folder(tmp_path):
    size = SIZE // 2
    sam = build_sam("sam_tiny", size)
    (tmp_path / "merged").mkdir()
    save_merged(tmp_path / "merged", Merged(sam, {}), "sam_tiny", "exact", {"base": {"sha256": "0" * 64}})
    export_hf_folder(tmp_path / "merged", tmp_path / "hf")
    expected = ours(sam, noise(size))
    torch.testing.assert_close(logits(theirs(tmp_path / "hf"), noise(size)), expected, rtol=0, atol=1e-4)
    processor = transformers.SamProcessor.from_pretrained(tmp_path / "hf")
    image = Image.fromarray(stripes(1)[0].transpose(1, 2, 0))
    assert processor(images=image, return_tensors="pt")["pixel_values"].shape == (1, 3, size, size)
    with pytest.raises(MergeError, match="or use naslora export hf"):
        export_sam_checkpoint(tmp_path / "merged", tmp_path / "a.pth")


def test_their_configuration_is_that_of_the_official_model():
    for name in ("vit_b", "vit_h"):
        config = transformers.SamConfig(**describe_model(name, 1024))
        if name == "vit_b":
            wanted = transformers.SamConfig().to_dict()
            for part in ("vision_config", "prompt_encoder_config", "mask_decoder_config"):
                found = config.to_dict()[part]
                assert {key: found[key] for key in wanted[part]} == wanted[part]
        with torch.device("meta"):
            shapes = {key: value.shape for key, value in transformers.SamModel(config).state_dict().items()}
            known = build_sam(name).state_dict()
        assert {to_hugging_face(key): value.shape for key, value in known.items()}.items() <= shapes.items()


@pytest.mark.parametrize("scale", [None, 1.0])
def test_peft_puts_a_lora_onto_their_sam(tmp_path, photo, scale):  # noqa: F811
    pytest.importorskip("peft", reason="peft comes with the extras dev and peft")
    base = build_base(tmp_path / "base")
    sam = load_base(ModelConfig(name="sam_tiny", checkpoint=base, image_size="native", precision="fp32"))
    set_head(sam, MaskHead(1, "off", scale))
    add_adapters_of_lora(sam)
    with torch.no_grad():
        sam.mask_decoder.mask_tokens.weight.add_(1)
    (tmp_path / "merged").mkdir()
    save_merged(tmp_path / "merged", exact(sam), "sam_tiny", "exact", {"base": {"sha256": "0" * 64}})
    lines = export_peft_folder(tmp_path / "merged", tmp_path / "lora", "transformers")
    assert 'base = "BASE"' in lines
    names = run(lines.replace('"BASE"', f'"{base}"'))
    found, expected = logits(names["sam"], noise()), ours(load_merged(tmp_path / "merged"), noise())
    assert (expected - logits(theirs(base), noise())).abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    assert config["modules_to_save"] == ["mask_decoder", "vision_encoder.neck"]
    assert "vision_encoder.layers.0.attn.qkv" in config["target_modules"]
    assert lines in (tmp_path / "lora" / CARD_FILE).read_text(encoding="utf-8")
    if scale is not None:
        assert same_as_predictor(tmp_path / "merged", photo, names["logits"]) < 1e-3


def build_base(folder):
    """A random sam_tiny in the layout of transformers, written by its own save_pretrained."""
    torch.manual_seed(6)
    sam = build_sam("sam_tiny")
    merged = folder.with_name("unchanged")
    merged.mkdir()
    save_merged(merged, Merged(sam, {}), "sam_tiny", "exact", {"base": {"sha256": "0" * 64}})
    export_hf_folder(merged, folder.with_name("written"))
    theirs(folder.with_name("written")).save_pretrained(folder)
    return folder


def test_a_family_that_their_sam_is_not_is_refused(tmp_path):
    pytest.importorskip("timm", reason="timm comes with the extras dev and hf")
    (tmp_path / "merged").mkdir()
    sam = build_sam("mobile_sam_mini")
    save_merged(tmp_path / "merged", Merged(sam, {}), "mobile_sam_mini", "exact", {"base": {"sha256": "0" * 64}})
    paths = (tmp_path / "merged", tmp_path / "out")
    with pytest.raises(MergeError, match="is a mobile_sam_mini, and SamModel of transformers has the encoder of"):
        export_hf_folder(*paths)
    for package in ("segment-anything", "transformers"):
        with pytest.raises(MergeError, match="is a mobile_sam_mini, .* original SAM; use naslora export sam"):
            export_peft_folder(*paths, package)
    assert not (tmp_path / "out").exists()


def test_a_mobile_sam_of_another_image_size_is_sent_to_formats_that_take_it(tmp_path):
    pytest.importorskip("timm", reason="timm comes with the extras dev and hf")
    sam = build_sam("mobile_sam_mini", 64)
    save_merged(tmp_path, Merged(sam, {}), "mobile_sam_mini", "exact", {"base": {"sha256": "0" * 64}})
    with pytest.raises(MergeError, match="sees 64 px, .* 128 px; .* or use naslora export onnx or torch"):
        export_sam_checkpoint(tmp_path, tmp_path / "out.pth")
