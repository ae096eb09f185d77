import pytest
import torch
from torch import nn

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapters.nas_lora import NASLoRALayer
from naslora_core.cell import Cell, MixedOp
from naslora_core.errors import CheckpointError, MergeError
from naslora_core.merge.exact import exact
from naslora_core.merge.fold import fold, fold_layer
from naslora_core.merge.folded_linear import FoldedLinear
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.merge.tokens import convolve_tokens
from naslora_core.ops.base import convolve
from naslora_core.sam.build import build_sam
from naslora_core.sam.classes import set_class_count
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import read_metadata, read_weights


def layer_of(space, nodes=1, bias=True):
    layer = NASLoRALayer(nn.Linear(6, 9, bias=bias), 3, 6, Cell(nodes, lambda: MixedOp(3, space)))
    nn.init.normal_(layer.lora_B)
    x = torch.randn(2, 4, 7, 6)
    assert not torch.allclose(layer(x), layer.base_layer(x))
    return layer, x


@pytest.mark.parametrize("size", [1, 3, 5])
def test_convolving_tokens_is_convolution_in_another_layout(size):
    maps, kernel = torch.randn(2, 3, 4, 7), torch.randn(5, 3, size, size)
    tokens = convolve_tokens(maps.permute(0, 2, 3, 1).contiguous(), kernel.permute(2, 3, 1, 0).flatten(0, 2))
    torch.testing.assert_close(tokens.permute(0, 3, 1, 2), convolve(maps, kernel))


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_a_pointwise_cell_folds_to_an_ordinary_linear_layer(nodes):
    layer, x = layer_of(("none", "skip_connect", "conv_1x1"), nodes)
    merged = fold_layer(layer)
    assert type(merged) is nn.Linear
    torch.testing.assert_close(merged(x), layer(x))


@pytest.mark.parametrize("bias", [True, False])
def test_one_edge_folds_to_one_convolution_whose_centre_is_empty(bias):
    layer, x = layer_of(("skip_connect", "conv_3x3"), bias=bias)
    merged = fold_layer(layer)
    assert isinstance(merged, FoldedLinear)
    kernel = merged.get_parameter("fold_kernel_0_1")
    assert kernel.shape == (3, 3, 3, 3)
    assert not kernel[1, 1].any()
    assert kernel[0, 1].any()
    torch.testing.assert_close(merged(x), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("nodes", [2, 3])
def test_several_nodes_keep_the_kernel_of_every_edge(nodes):
    layer, x = layer_of(("skip_connect", "conv_1x1", "dil_conv_3x3"), nodes)
    merged = fold_layer(layer)
    assert len([name for name, _ in merged.named_parameters() if "kernel" in name]) == nodes * (nodes + 1) / 2
    torch.testing.assert_close(merged(x), layer(x), rtol=1e-4, atol=1e-5)


def test_a_folded_layer_lets_gradients_through_and_runs_in_bf16():
    layer, x = layer_of(("conv_3x3",))
    merged = fold_layer(layer)
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
    merged(first).square().sum().backward()
    layer(second).square().sum().backward()
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-4, atol=1e-4)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        half = merged(x)
    assert half.dtype == torch.bfloat16
    # Eight bits of mantissa, lost a few times over.
    assert (half - layer(x)).abs().max() < 0.03 * layer(x).abs().max()


def test_a_cell_that_is_not_linear_cannot_be_folded():
    layer, _ = layer_of(("skip_connect", "max_pool_3x3"))
    with pytest.raises(MergeError, match="max_pool_3x3 in search.space cannot become a convolution"):
        fold_layer(layer)


def test_a_merged_model_keeps_all_of_upstreams_keys(adapted_sam):
    keys = set(fold(adapted_sam[0]).sam.state_dict())
    upstream = set(build_sam("sam_tiny").state_dict())
    assert upstream <= keys
    assert {key.rpartition(".")[2] for key in keys - upstream} == {"fold_A", "fold_B", "fold_kernel_0_1"}


def test_a_merged_model_of_several_classes_and_another_size_survives_the_disk(adapter, search, tmp_path):
    sam = build_sam("sam_tiny", 128)
    set_class_count(sam, 3)
    for layer in add_adapters(sam, adapter, search, seed=1).values():
        nn.init.normal_(layer.lora_B)
    merged = fold(sam)
    save_merged(tmp_path, merged, "sam_tiny", "fold", {"domain": "leaf"})
    images = torch.randint(0, 256, (1, 3, 128, 128), dtype=torch.uint8)
    with torch.no_grad():
        loaded = PromptFreeSegmenter(load_merged(tmp_path))(images)
        assert loaded.shape == (1, 3, 32, 32)
        assert torch.equal(loaded, PromptFreeSegmenter(merged.sam)(images))
    assert read_weights(tmp_path / "lora.safetensors") == {}
    assert read_metadata(tmp_path / "lora.safetensors")["mode"] == "fold"


def test_the_lora_beside_an_exact_merge_is_what_its_weights_have_more_than_the_base(adapter, search, tmp_path):
    sam = build_sam("sam_tiny")
    weights = {key: value.clone() for key, value in sam.state_dict().items()}
    for layer in add_adapters(sam, adapter.model_copy(update={"method": "lora"}), search, seed=1).values():
        nn.init.normal_(layer.lora_B)
    save_merged(tmp_path, exact(sam), "sam_tiny", "exact", {})
    lora, merged = read_weights(tmp_path / "lora.safetensors"), load_merged(tmp_path).state_dict()
    layers = {key.rpartition(".")[0] for key in lora}
    assert len(layers) == 8
    for name in layers:
        update = lora[f"{name}.lora_B"] @ lora[f"{name}.lora_A"]
        torch.testing.assert_close(merged[f"{name}.weight"] - weights[f"{name}.weight"], update, rtol=1e-4, atol=1e-5)


def test_a_damaged_merged_model_is_named(adapted_sam, tmp_path):
    save_merged(tmp_path, fold(adapted_sam[0]), "sam_tiny", "fold", {})
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="model.safetensors cannot be read"):
        load_merged(tmp_path)
