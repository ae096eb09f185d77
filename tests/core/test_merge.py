import pytest
import torch
from torch import nn

from naslora_core.adapters.nas_lora import NASLoRALayer
from naslora_core.errors import CheckpointError, MergeError
from naslora_core.inject import find_adapters
from naslora_core.merge.certificate import certify
from naslora_core.merge.fold import FoldedLinear, fold, fold_layer
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.sam.build import build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter


def test_fold_changes_no_logit_of_an_adapted_sam_by_more_than_rounding(adapted_sam, images):
    sam, adapters = adapted_sam
    with torch.no_grad():
        adapted = PromptFreeSegmenter(sam)(images)
        for layer in adapters.values():
            assert layer.lora_B.abs().max() > 0
        merged = PromptFreeSegmenter(fold(sam))(images)
        for layer in adapters.values():
            layer.lora_B.zero_()
        base = PromptFreeSegmenter(sam)(images)
    assert (adapted - base).abs().max() > 1e-3
    assert (adapted - merged).abs().max() < 1e-4


def test_fold_leaves_the_adapted_model_alone(adapted_sam):
    sam, adapters = adapted_sam
    before = {key: value.clone() for key, value in sam.state_dict().items()}
    merged = fold(sam)
    assert not find_adapters(merged)
    assert list(find_adapters(sam)) == list(adapters)
    assert all(torch.equal(before[key], value) for key, value in sam.state_dict().items())


def test_a_pointwise_cell_folds_to_an_ordinary_linear_layer():
    layer = NASLoRALayer(nn.Linear(6, 9), rank=3, lora_alpha=6, space=("none", "skip_connect", "conv_1x1"))
    nn.init.normal_(layer.lora_B)
    merged = fold_layer(layer)
    assert type(merged) is nn.Linear
    x = torch.randn(2, 4, 4, 6)
    torch.testing.assert_close(merged(x), layer(x))
    torch.testing.assert_close(merged.weight, layer.base_layer.weight + layer.delta_weight())


def test_a_spatial_cell_folds_to_one_convolution_whose_centre_is_empty():
    layer = NASLoRALayer(nn.Linear(6, 9, bias=False), rank=3, lora_alpha=6, space=("skip_connect", "conv_3x3"))
    nn.init.normal_(layer.lora_B)
    merged = fold_layer(layer)
    assert isinstance(merged, FoldedLinear)
    assert merged.fold_kernel.shape[-1] == 3
    assert not merged.fold_kernel[:, :, 1, 1].any()
    x = torch.randn(2, 5, 5, 6)
    torch.testing.assert_close(merged(x), layer(x), rtol=1e-4, atol=1e-5)


def test_a_merged_model_survives_the_disk(adapted_sam, images, tmp_path):
    merged = fold(adapted_sam[0])
    save_merged(tmp_path, merged, "sam_tiny", "fold", {})
    loaded = load_merged(tmp_path)
    with torch.no_grad():
        assert torch.equal(PromptFreeSegmenter(loaded)(images), PromptFreeSegmenter(merged)(images))


def test_a_merged_model_keeps_all_of_upstreams_keys(adapted_sam):
    keys = set(fold(adapted_sam[0]).state_dict())
    upstream = set(build_sam("sam_tiny").state_dict())
    assert upstream <= keys
    assert all(".fold_" in key for key in keys - upstream)


def test_a_damaged_merged_model_is_named(adapted_sam, tmp_path):
    save_merged(tmp_path, fold(adapted_sam[0]), "sam_tiny", "fold", {})
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="model.safetensors cannot be read"):
        load_merged(tmp_path)


def test_a_certificate_says_what_was_measured(adapted_sam, prepared):
    sam, _ = adapted_sam
    merged = fold(sam)
    certificate = certify("fold", build_sam("sam_tiny"), sam, merged, prepared, max_metric_drop=0.01)
    assert certificate.passed
    assert 0 <= certificate.max_logit_difference < 1e-4
    assert certificate.mask_agreement > 0.999
    sizes = certificate.parameters
    assert sizes["base"] < sizes["merged"] < sizes["adapted"]
    assert all(seconds > 0 for seconds in certificate.seconds_per_image.values())


def test_a_merge_that_loses_too_much_is_refused(adapted_sam, prepared):
    sam, _ = adapted_sam
    worse = fold(sam)
    # The adapted model is made to find the discs, the "merged" one to find nothing.
    with torch.no_grad():
        worse.mask_decoder.output_hypernetworks_mlps[0].layers[-1].bias.zero_()
        worse.mask_decoder.output_hypernetworks_mlps[0].layers[-1].weight.zero_()
    everything = PromptFreeSegmenter(sam)(torch.from_numpy(prepared.images[:1].copy()).permute(0, 3, 1, 2))
    if everything.mean() < 0:
        with torch.no_grad():
            last = sam.mask_decoder.output_hypernetworks_mlps[0].layers[-1]
            last.weight.neg_()
            last.bias.neg_()
    with pytest.raises(MergeError, match=r"merge.mode fold lowers validation Dice .* merge.max_metric_drop 0.005"):
        certify("fold", build_sam("sam_tiny"), sam, worse, prepared, max_metric_drop=0.005)
