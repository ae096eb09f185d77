import json

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import (
    ADAPTER_FILE,
    CONFIG_FILE,
    DECODER_FILE,
    continue_from,
    load_adapted,
    save_adapted,
)
from naslora_core.errors import CheckpointError
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.head import MaskHead, head_of, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import read_weights, save_weights

SAMS_OWN = MaskHead()


def trained(model, adapter, search, folder, head=SAMS_OWN):
    """Save an adapted model whose adapters and decoder were moved; return its segmenter."""
    torch.manual_seed(31)
    sam = load_base(model)
    set_head(sam, head)
    adapters = add_adapters(sam, adapter, search, seed=5)
    for layer in adapters.values():
        torch.nn.init.normal_(layer.lora_B, std=0.05)
        for alphas in layer.arch_parameters():
            torch.nn.init.normal_(alphas)
    torch.nn.init.normal_(sam.mask_decoder.mask_tokens.weight)
    if head.detail != "off":
        torch.nn.init.normal_(sam.mask_decoder.detail.out.weight)
    segmenter = PromptFreeSegmenter(sam).eval()
    folder.mkdir(exist_ok=True)
    save_adapted(folder, segmenter, adapters, model, adapter, search, seed=5)
    return segmenter


@pytest.fixture
def folder(model, adapter, search, tmp_path):
    trained(model, adapter, search, tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize(
    ("changed_adapter", "changed_search", "head"),
    [
        ({}, {}, SAMS_OWN),
        ({"method": "nas_pc_lora"}, {"nodes": 2, "share_alphas": True}, SAMS_OWN),
        ({"method": "lora"}, {}, MaskHead(3)),
        ({"method": "none"}, {}, SAMS_OWN),
        ({"method": "lora"}, {}, MaskHead(2, "half", scale=0.75)),
        ({"method": "lora"}, {}, MaskHead(1, "full")),
    ],
    ids=["nas_lora", "shared alphas", "three classes", "decoder only", "crops and detail", "full detail"],
)
def test_an_adapted_model_survives_the_disk_bit_for_bit(
    model, adapter, search, images, tmp_path, changed_adapter, changed_search, head
):
    adapter, search = adapter.model_copy(update=changed_adapter), search.model_copy(update=changed_search)
    segmenter = trained(model, adapter, search, tmp_path, head)
    loaded, layers = load_adapted(tmp_path, model)
    assert head_of(loaded.sam) == head
    assert (loaded.classes, loaded.scale) == (head.classes, head.scale)
    assert list(layers) == json.loads((tmp_path / CONFIG_FILE).read_text())["layers"]
    with torch.no_grad():
        expected = segmenter(images[:1])
        assert expected.shape[1] == head.classes
        assert torch.equal(loaded(images[:1]), expected)
        base = PromptFreeSegmenter(load_base(model))
        assert not torch.allclose(segmenter.upscale(expected)[:, :1], base.upscale(base(images[:1])))


def test_the_files_hold_what_training_changed_and_nothing_of_the_base(folder, model):
    adapters, decoder = read_weights(folder / ADAPTER_FILE), read_weights(folder / DECODER_FILE)
    assert not [key for key in adapters if "base_layer" in key or not key.startswith("image_encoder.")]
    assert {key.partition(".")[0] for key in decoder} == {"mask_decoder"}
    assert not [key for key in decoder if "iou_prediction_head" in key]
    assert (folder / ADAPTER_FILE).stat().st_size < model.checkpoint.stat().st_size / 50


def test_an_adapter_refuses_another_base(folder, model, tmp_path):
    torch.manual_seed(99)
    other = tmp_path / "other.safetensors"
    save_weights(other, build_sam("sam_tiny").state_dict(), {})
    with pytest.raises(CheckpointError, match="restore that base or train again"):
        load_adapted(folder, model.model_copy(update={"checkpoint": other}))
    with pytest.raises(CheckpointError, match="gone.safetensors not found"):
        load_adapted(folder, model.model_copy(update={"checkpoint": tmp_path / "gone.safetensors"}))


def test_an_adapter_refuses_another_image_size(folder, model):
    with pytest.raises(CheckpointError, match="at 256 px .* at 192 px"):
        load_adapted(folder, model.model_copy(update={"image_size": 192}))
    load_adapted(folder, model.model_copy(update={"image_size": 256}))


def test_a_folder_of_an_earlier_version_says_to_train_again(folder, model):
    path = folder / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(CheckpointError, match="has format 1, this version reads 2; train again"):
        load_adapted(folder, model)


@pytest.mark.parametrize("name", [ADAPTER_FILE, DECODER_FILE])
def test_tensors_that_do_not_belong_to_the_configuration_are_refused(folder, model, name):
    weights = read_weights(folder / name)
    removed = sorted(weights)[0]
    save_weights(folder / name, {key: value for key, value in weights.items() if key != removed}, {})
    with pytest.raises(CheckpointError, match=rf"{name} does not fit adapter.json .*1 keys missing.*{removed}"):
        load_adapted(folder, model)
    save_weights(folder / name, {**weights, removed: weights[removed][..., None]}, {})
    with pytest.raises(CheckpointError, match=rf"1 of another shape.*{removed}"):
        load_adapted(folder, model)


@pytest.mark.parametrize(("before", "now"), [("off", "half"), ("half", "off"), ("half", "full"), ("half", "half")])
def test_a_training_goes_on_from_an_adapter_with_another_detail_path(model, adapter, search, tmp_path, before, now):
    earlier = trained(model, adapter, search, tmp_path / "adapter", MaskHead(2, before)).sam
    sam = load_base(model)
    set_head(sam, MaskHead(2, now, scale=1.0))
    adapters = add_adapters(sam, adapter, search, seed=9)
    fresh = {key: value.clone() for key, value in sam.state_dict().items() if "mask_decoder.detail" in key}
    continue_from(sam, tmp_path / "adapter", model)
    assert head_of(sam) == MaskHead(2, now, scale=1.0)
    expected = earlier.state_dict()
    for key, value in sam.state_dict().items():
        same = before == now or "mask_decoder.detail" not in key
        assert torch.equal(value, expected[key] if same else fresh[key]), key
    assert all(layer.lora_B.any() for layer in adapters.values())


def test_an_adapter_without_its_detail_path_is_refused(model, adapter, search, tmp_path):
    trained(model, adapter, search, tmp_path, MaskHead(1, "half"))
    weights = read_weights(tmp_path / DECODER_FILE)
    kept = {key: value for key, value in weights.items() if "detail" not in key}
    assert len(kept) < len(weights)
    save_weights(tmp_path / DECODER_FILE, kept, {})
    with pytest.raises(CheckpointError, match=r"does not fit adapter.json .*keys missing.*mask_decoder\.detail"):
        load_adapted(tmp_path, model)


@pytest.mark.parametrize(("field", "value"), [("detail", "quarter"), ("scale", 0), ("scale", "wide")])
def test_a_head_that_is_none_is_refused(folder, model, field, value):
    path = folder / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(CheckpointError, match=rf"adapter\.json.*{field}"):
        load_adapted(folder, model)
