import pytest
import torch
from torch import nn

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.state import adapter_state, find_adapters
from naslora_core.adapters import METHODS, LowRankAdapter
from naslora_core.adapters.layers import inject
from naslora_core.adapters.lora import LoRALayer
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.errors import ConfigError, InjectionError, MergeError
from naslora_core.geometry.windows import Windows
from naslora_core.sam.build import build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter

LOW_RANK = [name for name in METHODS if name not in ("none", "neck", "bitfit", "full", "peft")]


def wrapped(method, adapter, search) -> LowRankAdapter:
    """One linear layer, wrapped by a method."""
    encoder = nn.ModuleDict({"qkv": nn.Linear(6, 9)}).requires_grad_(False)
    return METHODS[method](encoder, adapter.model_copy(update={"target_modules": ("qkv",)}), search)["qkv"]


@pytest.fixture(params=LOW_RANK)
def layer(request, adapter, search):
    torch.manual_seed(1)
    return wrapped(request.param, adapter, search)


def test_a_fresh_adapter_is_its_base_layer_bit_for_bit_and_a_trained_one_is_not(layer):
    x = torch.randn(2, 5, 5, 6)
    assert torch.equal(layer(x), layer.base_layer(x))
    nn.init.normal_(layer.lora_B)
    assert not torch.allclose(layer(x), layer.base_layer(x))


def test_the_first_step_reaches_lora_b_and_the_second_everything_else(layer):
    x = torch.randn(2, 5, 5, 6)
    optimizer = torch.optim.SGD([p for p in layer.parameters() if p.requires_grad], lr=0.1)
    before = {name: value.clone() for name, value in layer.named_parameters()}
    for _ in range(2):
        optimizer.zero_grad()
        loss = layer(x).square().mean()
        penalty = layer.take_penalty()
        (loss if penalty is None else loss + penalty).backward()
        optimizer.step()
    changed = {name for name, value in layer.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if not name.startswith("base_layer.")}


def test_the_tokens_of_an_image_are_mapped_as_their_padded_windows_are(layer):
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    windows, x = Windows(4, 3), torch.randn(2, 10, 10, 6, requires_grad=True)
    outcomes = []
    for whole in (
        layer.eval().on_padded_grid(x, windows).whole(),
        windows.join(layer(windows.split(windows.pad(x)))),
    ):
        weights = torch.randn(whole.shape, generator=torch.Generator().manual_seed(0))
        learnt = [x, *(parameter for parameter in layer.parameters() if parameter.requires_grad)]
        gradients = torch.autograd.grad((whole * weights).sum(), learnt, allow_unused=True)
        outcomes.append([whole, *(gradient for gradient in gradients if gradient is not None)])
    for found, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_lora_adds_the_product_of_its_factors():
    layer = LoRALayer(nn.Linear(6, 9), rank=2, lora_alpha=8)
    nn.init.normal_(layer.lora_B)
    x = torch.randn(1, 3, 3, 6)
    expected = layer.base_layer(x) + 4 * x @ layer.lora_A.T @ layer.lora_B.T
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.delta_weight(), 4 * layer.lora_B @ layer.lora_A)


def test_nas_lora_follows_the_formula_of_the_paper(adapter, search):
    torch.manual_seed(0)
    chosen = search.model_copy(update={"space": ("skip_connect", "conv_3x3", "max_pool_3x3")})
    layer = wrapped("nas_lora", adapter.model_copy(update={"lora_alpha": adapter.rank}), chosen)
    edge = layer.mixed_ops()["0_1"]
    nn.init.normal_(layer.lora_B)
    nn.init.normal_(edge.alphas)
    x = torch.randn(2, 7, 7, 6)
    z = (x @ layer.lora_A.T).permute(0, 3, 1, 2)
    exponentials = edge.alphas.exp()
    mixture = sum(e / exponentials.sum() * op(z) for e, op in zip(exponentials, edge.ops, strict=True))
    torch.testing.assert_close(layer(x), layer.base_layer(x) + mixture.permute(0, 2, 3, 1) @ layer.lora_B.T)


def test_nas_pc_lora_sends_one_kth_of_the_rank_through_the_operations(adapter, search):
    layer = wrapped("nas_pc_lora", adapter, search.model_copy(update={"partial_channel_k": 4}))
    assert layer.mixed_ops()["0_1"].ops[2].weight.shape == (1, 1, 1, 1)
    assert layer.branch_kernels()[0, 1].shape == (4, 4, 5, 5)


def test_a_rank_that_cannot_be_divided_is_refused(adapter, search):
    with pytest.raises(ConfigError, match=r"adapter.rank 4 must be a multiple of search.partial_channel_k 3"):
        wrapped("nas_pc_lora", adapter, search.model_copy(update={"partial_channel_k": 3}))


def test_a_spatial_cell_has_no_weight_to_merge_and_a_pointwise_one_has(adapter, search):
    layer = wrapped("nas_lora", adapter, search)
    nn.init.normal_(layer.lora_B)
    with pytest.raises(MergeError, match="5x5 convolution does not fit"):
        layer.delta_weight()
    layer.mixed_ops()["0_1"].set_time(temperature=1, pressure=float("inf"))
    x = torch.randn(1, 3, 3, 6)
    torch.testing.assert_close(layer(x), layer.base_layer(x) + x @ layer.delta_weight().T)


def test_the_state_of_adapters_is_all_but_their_base_layers(adapted_sam):
    sam, adapters = adapted_sam
    state = adapter_state(sam)
    for name in adapters:
        assert f"{name}.lora_A" in state
        assert f"{name}.cell.edges.0_1.pressure" in state
    assert not any("base_layer" in key for key in state)
    assert len(state) < len(sam.state_dict())


def test_an_injected_sam_answers_as_before_bit_for_bit(adapter, search, images):
    torch.manual_seed(2)
    sam = build_sam("sam_tiny")
    segmenter = PromptFreeSegmenter(sam)
    with torch.no_grad():
        before = segmenter(images)
        adapters = add_adapters(sam, adapter, search, seed=0)
        assert torch.equal(segmenter(images), before)
        nn.init.normal_(adapters["image_encoder.blocks.3.attn.qkv"].lora_B)
        assert not torch.allclose(segmenter(images), before)
    assert len(adapters) == len(sam.image_encoder.blocks) == len(find_adapters(sam))


def test_only_adapters_and_mask_decoder_learn(adapter, search):
    sam = build_sam("sam_tiny")
    add_adapters(sam, adapter, search, seed=0)
    learning = {name for name, parameter in sam.named_parameters() if parameter.requires_grad}
    allowed = ("lora_A", "lora_B", "cell.")
    assert learning
    assert all(name.startswith("mask_decoder.") or any(part in name for part in allowed) for name in learning)
    assert not any("base_layer" in name or "iou_prediction_head" in name for name in learning)


def test_a_target_that_matches_nothing_is_refused_and_changes_nothing(search):
    sam = build_sam("sam_tiny")
    keys = list(sam.state_dict())
    adapter = AdapterConfig(method="lora", rank=2, lora_alpha=2, target_modules=("attn.qkv", "attn.query"))
    with pytest.raises(InjectionError, match=r"\['attn.query'\] match no layer.*attn.qkv"):
        add_adapters(sam, adapter, search, seed=0)
    assert list(sam.state_dict()) == keys


def test_a_target_that_is_not_linear_is_refused():
    module = nn.Sequential(nn.Conv2d(1, 1, 1))
    with pytest.raises(InjectionError, match="Conv2d; only linear"):
        inject(module, ["0"], lambda layer: LoRALayer(layer, 1, 1))


def test_the_same_seed_gives_the_same_adapters(adapter, search: SearchConfig):
    first, second = (add_adapters(build_sam("sam_tiny"), adapter, search, seed=7) for _ in range(2))
    name = "image_encoder.blocks.0.attn.qkv"
    assert torch.equal(first[name].lora_A, second[name].lora_A)
