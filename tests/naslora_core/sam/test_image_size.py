from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from segment_anything.modeling.image_encoder import get_rel_pos

from naslora_core.errors import CheckpointError, ConfigError
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.resize import POSITION_EMBEDDING, resize_absolute, resize_relative
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.specs import MODEL_SPECS, find_spec
from naslora_core.sam.weights import read_weights, save_weights


@pytest.fixture
def small(model):
    return model.model_copy(update={"image_size": 192})


def waves(side, channels):
    """Return (1, side, side, channels): slow waves over the unit square, sampled in the middle of its cells."""
    at = (torch.arange(side) + 0.5) / side
    turns = torch.linspace(0.2, 1.5, channels)
    rows, columns = (2 * torch.pi * at[:, None] * turns).sin(), (2 * torch.pi * at[:, None] * turns).cos()
    return (rows[:, None] + columns[None])[None]


def smooth_image(side):
    """Return (1, 3, side, side): three waves in 0..255."""
    return (waves(side, 3).permute(0, 3, 1, 2) + 2) / 4 * 255


def test_the_native_size_in_figures_is_the_native_size(model):
    native, same = load_base(model), load_base(model.model_copy(update={"image_size": 256}))
    weights = read_weights(model.checkpoint)
    assert native.state_dict().keys() == same.state_dict().keys() == weights.keys()
    for key, value in weights.items():
        assert torch.equal(native.state_dict()[key], value)
        assert torch.equal(same.state_dict()[key], value)


def test_a_smaller_model_runs_forward_and_backward(small):
    segmenter = PromptFreeSegmenter(load_base(small))
    assert segmenter.image_size == find_spec(small.name, 192).image_size == 192
    low_res_masks = segmenter(smooth_image(192))
    assert low_res_masks.shape == (1, 1, 48, 48)
    assert segmenter.upscale(low_res_masks).shape == (1, 1, 192, 192)
    low_res_masks.square().mean().backward()
    gradient = segmenter.sam.image_encoder.pos_embed.grad
    assert gradient.shape == (1, 12, 12, 192)
    assert gradient.abs().min() > 0


def test_a_smaller_model_sees_in_a_smooth_image_what_the_native_one_does(model, small, tmp_path):
    weights = read_weights(model.checkpoint)
    weights[POSITION_EMBEDDING] = 3 * waves(16, 192)
    save_weights(tmp_path / "smooth.safetensors", weights, {})
    update = {"checkpoint": tmp_path / "smooth.safetensors"}
    native, resized = (load_base(config.model_copy(update=update)) for config in (model, small))
    cropped = build_sam("sam_tiny", 192)
    cropped.load_state_dict({**weights, POSITION_EMBEDDING: weights[POSITION_EMBEDDING][:, :12, :12]})

    def embedding(sam, side):
        pixels = (smooth_image(side) - sam.pixel_mean) / sam.pixel_std
        with torch.no_grad():
            return F.interpolate(sam.image_encoder(pixels), size=(16, 16), mode="bicubic")

    expected = embedding(native, 256)
    likeness = F.cosine_similarity(embedding(resized, 192), expected, dim=1).mean()
    # A patch holds another share of the image, and a window too; more than that must not differ.
    assert likeness > 0.95
    assert F.cosine_similarity(embedding(cropped, 192), expected, dim=1).mean() < 0.85


@pytest.mark.parametrize("side", [8, 12, 24])
def test_an_interpolated_embedding_is_the_same_wave_at_other_points(side):
    resized = resize_absolute(waves(16, 5).half(), side)
    assert resized.dtype == torch.float32
    inside = slice(side // 8, -(side // 8))
    expected = waves(side, 5)
    # What cubic interpolation misses of a wave that turns 1.5 times in 16 points, of an amplitude of 2.
    torch.testing.assert_close(resized[:, inside, inside], expected[:, inside, inside], rtol=0, atol=0.06)


def test_relative_tables_of_global_blocks_are_those_upstream_interpolates(model, small, monkeypatch, tmp_path):
    spec = replace(MODEL_SPECS["sam_tiny"], use_rel_pos=True)
    monkeypatch.setitem(MODEL_SPECS, "sam_tiny", spec)
    torch.manual_seed(4)
    weights = build_sam("sam_tiny").state_dict()
    for key, value in weights.items():
        if "rel_pos" in key:
            value.normal_()
    save_weights(tmp_path / "rel_pos.safetensors", weights, {})
    sam = load_base(small.model_copy(update={"checkpoint": tmp_path / "rel_pos.safetensors"}))
    for index, block in enumerate(sam.image_encoder.blocks):
        for axis in ("rel_pos_h", "rel_pos_w"):
            table, native = getattr(block.attn, axis), weights[f"image_encoder.blocks.{index}.attn.{axis}"]
            if index in spec.global_attn_indexes:
                assert table.shape == (2 * 12 - 1, 32)
                assert torch.equal(get_rel_pos(12, 12, table), get_rel_pos(12, 12, native))
            else:
                assert torch.equal(table, native)
    with torch.no_grad():
        assert PromptFreeSegmenter(sam)(smooth_image(192)).isfinite().all()


def test_a_relative_table_of_vit_b_has_the_length_its_grid_needs():
    with torch.device("meta"):
        sam = build_sam("vit_b", 512)
    lengths = [len(block.attn.rel_pos_h) for block in sam.image_encoder.blocks]
    assert sorted({lengths[index] for index in (2, 5, 8, 11)}) == [2 * 32 - 1]
    assert sorted({lengths[index] for index in range(12) if index % 3 != 2}) == [2 * 14 - 1]
    assert resize_relative(torch.zeros(127, 64), 32).shape == sam.image_encoder.blocks[2].attn.rel_pos_h.shape


@pytest.mark.parametrize(("size", "nearest"), [(200, 192), (16, 32), (1, 32)])
def test_an_image_size_that_does_not_divide_into_patches_names_one_that_does(model, size, nearest):
    with pytest.raises(ConfigError, match=rf"model.image_size {size} is not .*use native \(256\) or {nearest}"):
        load_base(model.model_copy(update={"image_size": size}))


def test_loading_stays_strict_at_every_image_size(small, tmp_path):
    weights = read_weights(small.checkpoint)
    weights[POSITION_EMBEDDING] = torch.zeros(1, 20, 20, 192)
    save_weights(tmp_path / "other.safetensors", weights, {})
    with pytest.raises(CheckpointError, match="1 of another shape .*pos_embed"):
        load_base(small.model_copy(update={"checkpoint": tmp_path / "other.safetensors"}))
