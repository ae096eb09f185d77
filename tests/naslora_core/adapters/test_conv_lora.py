import pytest
import torch
import torch.nn.functional as F
from torch import nn

from naslora_core.adapters import find_method
from naslora_core.adapters.conv_lora import ConvLoRALayer, ConvLoRAOptions
from naslora_core.errors import ConfigError, MergeError


@pytest.fixture
def layer():
    torch.manual_seed(5)
    made = ConvLoRALayer(nn.Linear(6, 9), 4, 8, ConvLoRAOptions(experts=3, balance_weight=0.5)).eval()
    nn.init.normal_(made.lora_B)
    nn.init.normal_(made.gate)
    nn.init.normal_(made.expert_biases)
    return made


def test_each_image_passes_the_expert_its_gate_prefers_and_keeps_its_own_code(layer):
    x = torch.randn(8, 5, 7, 6)
    found, choices = layer(x), set()
    for image, answer in zip(x, found, strict=True):
        z = image @ layer.lora_A.T  # (H, W, rank)
        expert = int((layer.gate @ z.mean(dim=(0, 1))).argmax())
        choices.add(expert)
        large = F.interpolate(z.permute(2, 0, 1)[None], scale_factor=expert + 1, mode="bicubic")
        large = F.gelu(F.conv2d(large, layer.expert_weights[expert], layer.expert_biases[expert], padding=1))
        added = F.interpolate(large, size=(5, 7), mode="bicubic")[0].permute(1, 2, 0)
        wanted = layer.base_layer(image) + 2 * (z + added) @ layer.lora_B.T
        torch.testing.assert_close(answer, wanted, rtol=1e-4, atol=1e-5)
    assert len(choices) > 1


def test_only_training_is_noisy_and_asks_for_balance_once(layer):
    x = torch.randn(8, 5, 5, 6)
    assert torch.equal(layer(x), layer(x))
    assert layer.take_penalty() is None
    layer.train()
    assert not torch.equal(layer(x), layer(x))
    assert layer.take_penalty() > 0
    assert layer.take_penalty() is None


def test_the_balance_loss_is_the_squared_variation_of_importance_and_load(layer):
    layer.train()
    with torch.no_grad():
        layer.gate.zero_()
        layer.gate[1] = 1e4 * layer.lora_A.new_ones(4)
    pooled = torch.rand(6, 4) + 0.1
    assert layer._route(pooled).tolist() == [1] * 6
    # All six go to one of three: variance 12 over squared mean 4, for what was chosen and for what could have been.
    assert layer.take_penalty().item() == pytest.approx(0.5 * (3 + 3))


def test_a_layer_that_routes_has_no_weight_to_merge(layer):
    with pytest.raises(MergeError, match="use merge.mode calibrated"):
        layer.delta_weight()


def test_options_are_the_authors_unless_given_and_checked(adapter, search):
    encoder = nn.ModuleDict({"qkv": nn.Linear(6, 9)})
    adapter = adapter.model_copy(update={"target_modules": ("qkv",), "options": {"expert": 2}})
    with pytest.raises(ConfigError, match="adapter.options {'expert': 2} do not fit conv_lora.*it knows experts"):
        find_method("conv_lora")(encoder, adapter, search)
    found = find_method("conv_lora")(encoder, adapter.model_copy(update={"options": {}}), search)
    assert len(found["qkv"].gate) == 8
