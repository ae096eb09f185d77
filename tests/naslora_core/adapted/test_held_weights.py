"""Frozen weights held in bfloat16 change the time of a step, and nothing else."""

from contextlib import nullcontext

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.held_weights import HeldWeights, product_layers
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.mapped import take_weights
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import read_weights, save_weights


@pytest.fixture
def sam(adapter, search) -> Sam:
    torch.manual_seed(0)
    built = build_sam("sam_tiny", 64)
    for layer in add_adapters(built, adapter, search, seed=1).values():
        torch.nn.init.normal_(layer.lora_B, std=0.1)
    return built


def _step(sam: Sam, hold: bool) -> list[torch.Tensor]:
    held = HeldWeights(sam.image_encoder, torch.bfloat16 if hold else None)
    images = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(2)).float()
    with held.hold():
        with torch.autocast("cpu", torch.bfloat16):
            logits = PromptFreeSegmenter(sam)(images)
        learnt = [parameter for parameter in sam.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(logits.square().mean(), learnt, allow_unused=True)
    return [logits, *(gradient for gradient in gradients if gradient is not None)]


def test_a_step_computes_the_same_bits(sam):
    for found, expected in zip(_step(sam, hold=True), _step(sam, hold=False), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("fails", [False, True])
def test_the_weights_themselves_are_back_whatever_happens(sam, fails):
    before = {name: (value, value.data_ptr(), value.clone()) for name, value in sam.state_dict().items()}
    held = HeldWeights(sam.image_encoder, torch.bfloat16)
    with pytest.raises(ValueError, match="a step") if fails else nullcontext(), held.hold():
        assert {layer.weight.dtype for layer in product_layers(sam.image_encoder)} == {torch.bfloat16}
        assert all(parameter.dtype is torch.float32 for parameter in sam.parameters() if parameter.requires_grad)
        if fails:
            raise ValueError("a step")
    for name, value in sam.state_dict().items():
        assert value.data_ptr() == before[name][1]
        assert torch.equal(value, before[name][2])


def test_weights_are_converted_once_and_again_after_they_were_loaded(sam):
    held, layer = HeldWeights(sam.image_encoder, torch.bfloat16), product_layers(sam.image_encoder)[0]
    places = []
    for _ in range(2):
        with held.hold():
            places.append(layer.weight.data_ptr())
    assert places[0] == places[1]
    with torch.no_grad():
        layer.weight.fill_(3)
    with held.hold():
        assert torch.equal(layer.weight, torch.full_like(layer.weight, 3))


def test_in_float32_nothing_is_held(sam):
    with HeldWeights(sam.image_encoder, None).hold():
        assert {parameter.dtype for parameter in sam.parameters()} == {torch.float32}


def test_layers_that_learn_and_those_that_adapters_look_at_keep_their_weights(adapter, search):
    pytest.importorskip("peft")
    sam = build_sam("sam_tiny", 64)
    dora = adapter.model_copy(update={"method": "peft:lora", "options": {"use_dora": True}, "target_modules": ["qkv"]})
    add_adapters(sam, dora, search, seed=1)
    sam.image_encoder.neck.requires_grad_(True)
    blocks = sam.image_encoder.blocks
    assert set(product_layers(sam.image_encoder)) == {
        sam.image_encoder.patch_embed.proj,
        *(layer for block in blocks for layer in (block.attn.proj, block.mlp.lin1, block.mlp.lin2)),
    }


def test_where_no_gradient_is_asked_for_weights_that_could_learn_are_held_too():
    sam = build_sam("sam_tiny", 64)
    assert not product_layers(sam.image_encoder)
    with torch.no_grad(), HeldWeights(sam.image_encoder, torch.bfloat16).hold():
        assert sam.image_encoder.blocks[0].attn.qkv.weight.dtype is torch.bfloat16
    assert sam.image_encoder.blocks[0].attn.qkv.weight.dtype is torch.float32


@torch.no_grad()
def test_whoever_holds_them_first_puts_them_back(sam):
    before = {name: value.clone() for name, value in sam.state_dict().items()}
    first, second = (HeldWeights(sam.image_encoder, torch.bfloat16).hold() for _ in range(2))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert all(torch.equal(value, before[name]) for name, value in sam.state_dict().items())
    assert product_layers(sam.image_encoder)[0].weight.dtype is torch.float32


def test_weights_that_stay_in_their_file_are_computed_with_as_others_are(sam, tmp_path):
    in_memory = _step(sam, hold=True)
    frozen = {name: value for name, value in sam.named_parameters() if not value.requires_grad}
    save_weights(path := tmp_path / "base.safetensors", frozen, {})
    expected = {name: value.detach().clone() for name, value in frozen.items()}
    take_weights(sam, read_weights(path))
    path.unlink()
    for found, before in zip(_step(sam, hold=True), in_memory, strict=True):
        assert torch.equal(found, before)
    assert all(torch.equal(sam.get_parameter(name), value) for name, value in expected.items())
