"""Weights are found inside whatever a training framework puts around them, and never guessed between two models."""

import pytest
import torch
from torch import Tensor

from naslora_core.errors import CheckpointError
from naslora_core.sam.layouts.recognise import recognise
from tests.naslora_core.sam.layouts.conftest import assert_same, official_outputs

Weights = dict[str, Tensor]


def after(prefix: str, weights: Weights) -> Weights:
    return {f"{prefix}{key}": value for key, value in weights.items()}


def moved(weights: Weights) -> Weights:
    return {key: value + 1 for key, value in weights.items()}


FOUND = {
    "compiled": (lambda w: after("_orig_mod.", w), ("_orig_mod.",)),
    "compiled, data parallel": (lambda w: after("module._orig_mod.", w), ("module._orig_mod.",)),
    "compiled, in Lightning": (
        lambda w: {"state_dict": after("model.module._orig_mod.sam.", w)},
        ("state_dict", "model.module._orig_mod.sam."),
    ),
    "a name of its own": (lambda w: {"state_dict": after("segmenter.", w)}, ("state_dict", "segmenter.")),
    "two dictionaries": (lambda w: {"state_dict": {"model": w}}, ("state_dict", "model")),
    "DeepSpeed": (lambda w: {"module": w, "ds_version": "0.9"}, ("module",)),
    "an average alone": (lambda w: {"ema": w, "step": 5}, ("ema",)),
    "an average beside": (lambda w: {"ema": moved(w), "model": w}, ("model",)),
    "an average by prefix": (lambda w: after("ema_model.module.", moved(w)) | after("model.", w), ("model.",)),
    "the same twice": (lambda w: {"student": w, "teacher": dict(w)}, ("student",)),
    "numbers between the weights": (lambda w: w | {"epoch": 3}, ()),
}


@pytest.mark.parametrize("wrapping", FOUND)
def test_weights_are_found_and_what_was_around_them_is_named(wrapping, official, images, load, tmp_path):
    wrap, taken_off = FOUND[wrapping]
    torch.save(wrap(official.state_dict()), tmp_path / "a.ckpt")
    assert recognise(tmp_path / "a.ckpt").taken_off == taken_off
    assert_same(load(tmp_path / "a.ckpt"), images, *official_outputs(official, images))


@pytest.mark.parametrize(
    ("wrap", "named"),
    [
        (lambda w: {"student": w, "teacher": moved(w)}, "student, teacher"),
        (lambda w: after("student.", w) | after("teacher.", moved(w)), "student., teacher."),
        (lambda w: {"state_dict": moved(w), "model": w}, "state_dict, model"),
    ],
)
def test_of_two_models_neither_is_guessed(wrap, named, official, tmp_path):
    torch.save(wrap(official.state_dict()), tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=rf"it holds 2 models \({named}\); save the one you mean"):
        recognise(tmp_path / "a.ckpt")


def test_values_that_are_not_finite_are_refused(official, load, tmp_path):
    weights = official.state_dict()
    weights["mask_decoder.iou_token.weight"][0, 3] = float("nan")
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"1 of its tensors hold values that are not finite \(mask_decoder.iou"):
        load(tmp_path / "a.pth")


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64])
def test_numbers_of_another_kind_are_not_taken_for_weights(dtype, official, load, tmp_path):
    weights = {key: value.to(dtype) for key, value in official.state_dict().items()}
    torch.save(weights, tmp_path / "all.pth")
    with pytest.raises(CheckpointError, match=rf"its tensors are {str(dtype)[6:]}, expected floating point; give the"):
        recognise(tmp_path / "all.pth")
    torch.save(official.state_dict() | {key: weights[key] for key in list(weights)[:2]}, tmp_path / "some.pth")
    with pytest.raises(CheckpointError, match=rf"2 of its tensors hold {str(dtype)[6:]} .*before it was quantised"):
        load(tmp_path / "some.pth")


@pytest.mark.parametrize(
    "name",
    [
        "image_encoder.stages.0.blocks.0.conv1.linear.weight",
        "image_encoder.layers.0.blocks.0.conv1.c.weight",
        "image_encoder.trunk.blocks.0.attn.qkv.weight",
        "image_encoder.backbone.layers.0.attention.q_proj.weight",
        "image_encoder.blocks.0.attn.qkv.weight",
    ],
)
@pytest.mark.parametrize("shape", [(), (0,), (7,), (2, 3, 4, 5, 6)])
def test_names_of_a_family_with_tensors_of_any_shape_are_no_crash(name, shape, load, tmp_path):
    beside = ("neck.0.weight", "patch_embed.conv1.conv.weight", "patch_embed.proj.weight", "pos_embed")
    keys = [name, "sam_prompt_encoder.point_embeddings.0.weight", *(f"image_encoder.{key}" for key in beside)]
    keys += [f"image_encoder.stages.{stage}.downsample.conv3.linear.weight" for stage in (1, 2, 3)]
    keys += ["image_encoder.backbone.layers.0.layer_norm1.weight", "image_encoder.backbone.neck.convs.0.weight"]
    torch.save({key: torch.ones(shape) for key in keys}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"other shapes|no model of that size|keys missing"):
        load(tmp_path / "a.pth")


@pytest.mark.parametrize("added", ["mask_decoder.detail.coarse.0.bias", "image_encoder.blocks.0.attn.qkv.fold_A"])
def test_a_merged_model_with_more_than_a_base_has_says_what_to_give(added, official, load, tmp_path):
    torch.save(official.state_dict() | {added: torch.ones(2)}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="It is a model that naslora merged.*naslora export sam or hf writes"):
        load(tmp_path / "model.pth")
