"""Files with upstream's keys, however they are wrapped, give the masks of segment-anything and SAM-HQ."""

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from naslora_core.errors import CheckpointError
from naslora_core.sam.build import build_sam
from naslora_core.sam.layouts import LAYOUTS
from naslora_core.sam.layouts.recognise import recognise
from tests.naslora_core.sam.layouts.conftest import assert_same, move, official_outputs


def prefixed(weights, prefix):
    return {f"{prefix}{key}": value for key, value in weights.items()}


WRAPPED = {
    "plain": lambda weights: weights,
    "lightning": lambda weights: {
        "state_dict": prefixed(weights, "model.") | {"criterion.weight": torch.ones(2)},
        "epoch": 3,
        "optimizer_states": [{"lr": 0.1}],
    },
    "lightning of a data parallel net": lambda weights: {"state_dict": prefixed(weights, "net.module.sam.")},
    "micro-sam": lambda weights: {
        "model_state": prefixed(weights, "sam."),
        "decoder_state": {"a": torch.ones(1)},
        "optimizer_state": {"state": {}},
        "iteration": 7,
    },
    "meta": lambda weights: {"model": weights},
    "tutorial": lambda weights: {"model_state_dict": prefixed(weights, "module."), "loss": 0.5},
}


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_wrappers_and_prefixes_are_taken_off(wrapping, official, images, load, tmp_path):
    torch.save(WRAPPED[wrapping](official.state_dict()), tmp_path / "a.ckpt")
    assert_same(load(tmp_path / "a.ckpt"), images, *official_outputs(official, images))


def test_what_was_left_out_is_named(official, tmp_path):
    torch.save(WRAPPED["lightning"](official.state_dict()), tmp_path / "a.ckpt")
    found = recognise(tmp_path / "a.ckpt")
    assert (found.family, found.size, found.layout) == ("sam", "vit_b", "segment-anything")
    assert found.taken_off == ("state_dict", "model.")
    assert found.left_out == (
        "beside the weights: epoch, optimizer_states",
        "outside of model.*: 1 tensors (criterion.weight)",
    )
    assert found.seen == "3 blocks of width 32, 128 px"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(dtype, official, images, load, tmp_path):
    weights = {key: value.to(dtype) for key, value in official.state_dict().items()}
    save_file(weights, tmp_path / "a.safetensors")
    official.load_state_dict(weights)
    assert f"in {str(dtype)[6:]}, read as float32" in recognise(tmp_path / "a.safetensors").in_a_line()
    assert_same(load(tmp_path / "a.safetensors"), images, *official_outputs(official, images))


@pytest.mark.parametrize("prefix", ["image_encoder.", "", "model."])
def test_an_encoder_alone_gets_a_decoder_that_is_the_same_in_every_load(prefix, official, images, load, tmp_path):
    torch.save(prefixed(official.image_encoder.state_dict(), prefix), tmp_path / "a.pth")
    torch.manual_seed(9)
    state = torch.get_rng_state()
    first, second = (load(tmp_path / "a.pth") for _ in range(2))
    assert first.state_dict().keys() == official.state_dict().keys()
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())
    embeddings = official_outputs(official, images)[0]
    torch.testing.assert_close(official_outputs(first, images)[0], embeddings, rtol=0, atol=1e-4)
    assert recognise(tmp_path / "a.pth").fresh == ("prompt_encoder", "mask_decoder")
    # Building the fresh parts leaves the caller's random numbers as they were; building the encoder draws its own.
    torch.set_rng_state(state)
    load(tmp_path / "a.pth")
    assert torch.equal(torch.get_rng_state(), state)


def test_sam_hq_gives_sams_masks_and_names_what_is_left_out(official, images, load, tmp_path):
    package = "segment_anything_hq"
    hq = pytest.importorskip(f"{package}.modeling", reason=f"{package} comes with the extra dev")
    transformer = hq.transformer.TwoWayTransformer(depth=2, embedding_dim=16, mlp_dim=24, num_heads=2)
    decoder = move(
        hq.mask_decoder_hq.MaskDecoderHQ(
            transformer_dim=16, transformer=transformer, iou_head_hidden_dim=16, vit_dim=32
        )
    )
    plain = {key: value for key, value in decoder.state_dict().items() if key in official.mask_decoder.state_dict()}
    weights = official.state_dict() | prefixed(decoder.state_dict(), "mask_decoder.")
    torch.save(weights, tmp_path / "sam_hq.pth")
    official.mask_decoder.load_state_dict(plain)
    assert_same(load(tmp_path / "sam_hq.pth"), images, *official_outputs(official, images))
    found = recognise(tmp_path / "sam_hq.pth")
    assert found.layout == "SAM-HQ"
    extra = len(decoder.state_dict()) - len(plain)
    assert found.left_out == (f"SAM-HQ's token and the layers for its mask: {extra} tensors",)


def test_a_file_is_of_one_layout_at_most(official):
    for weights in (official.state_dict(), official.image_encoder.state_dict()):
        assert sum(LAYOUTS[name].matches(weights.keys()) for name in LAYOUTS) == 1


def test_objects_in_a_file_are_named_and_no_unsafe_advice_is_given(official, tmp_path):
    for old in (False, True):
        content = {"state_dict": official.state_dict(), "hyper_parameters": argparse.Namespace(lr=1)}
        torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=not old)
        with pytest.raises(CheckpointError, match=r"more than tensors \(argparse.Namespace\)") as raised:
            recognise(tmp_path / "a.ckpt")
        assert "torch.save(model.state_dict()" in str(raised.value)
        assert not any(word in str(raised.value) for word in ("weights_only", "safe_globals", "trust"))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("layer1.0.conv1.weight", "fc.weight"), "2 tensors of 0.0 M values .* look like a ResNet"),
        (("cls_token", "blocks.0.attn.qkv.weight"), "look like a vision transformer without SAM's neck"),
        (("a.b",), "look like no family known here. Supported are .*Hugging Face SamModel.*segment-anything"),
        (("base_model.model.image_encoder.blocks.0.attn.qkv.lora_A.default.weight",), "merge_and_unload"),
    ],
)
def test_an_unknown_layout_is_answered_with_what_was_found_and_what_is_supported(keys, said, tmp_path):
    torch.save({key: torch.ones(3) for key in keys}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=f"(?s)has no known layout: its .*{said}"):
        recognise(tmp_path / "a.pth")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_damaged_file_is_to_be_fetched_again(content, suffix, tmp_path):
    path: Path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read.*fetch it again") as raised:
        recognise(path)
    assert "weights_only" not in str(raised.value)


def test_another_size_names_both_and_the_setting(official, load, tmp_path):
    torch.save(build_sam("sam_tiny").state_dict(), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"holds sam_tiny .*model.name is vit_b; .*--set model.name=sam_tiny"):
        load(tmp_path / "a.pth")
    weights = {key: value for key, value in official.state_dict().items() if "blocks.2" not in key}
    torch.save(weights, tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match=r"holds a model of family sam \(2 blocks of width 32, 128 px\)"):
        load(tmp_path / "b.pth")


def test_another_image_size_is_said(official, load, tmp_path):
    weights = official.state_dict()
    weights["image_encoder.pos_embed"] = torch.ones(1, 6, 6, 32)
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="images of 96 px: use it with --set model.image_size=96"):
        load(tmp_path / "a.pth")


def test_weights_that_are_missing_are_named(official, load, tmp_path):
    weights = official.state_dict()
    del weights["mask_decoder.iou_token.weight"]
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"1 keys missing \['mask_decoder.iou_token.weight'\]"):
        load(tmp_path / "a.pth")
