"""SAM 2 loads from its authors' files and from transformers' folders, and goes back without a changed bit."""

import re
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from naslora_core.config import ModelConfig
from naslora_core.errors import CheckpointError
from naslora_core.sam.build import build_sam, normalise
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.families import sam2
from naslora_core.sam.layouts.recognise import recognise
from naslora_core.sam.layouts.sam2 import sam2_size, to_hugging_face, to_official
from naslora_core.sam.specs import MODEL_SPECS
from tests.naslora_core.sam.layouts.conftest import left_out_of_videos, move

transformers = pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")
SPEC = MODEL_SPECS["sam2_mini"]

# A name of every kind in the authors' files, seen in sam2 1.1.0, and ours.
NAMES = {
    "image_encoder.trunk.pos_embed": "image_encoder.backbone.pos_embed",
    "image_encoder.trunk.pos_embed_window": "image_encoder.backbone.pos_embed_window",
    "image_encoder.trunk.patch_embed.proj.bias": "image_encoder.backbone.patch_embed.projection.bias",
    "image_encoder.trunk.blocks.1.norm1.bias": "image_encoder.backbone.blocks.1.layer_norm1.bias",
    "image_encoder.trunk.blocks.1.attn.qkv.bias": "image_encoder.backbone.blocks.1.attn.qkv.bias",
    "image_encoder.trunk.blocks.1.mlp.layers.0.bias": "image_encoder.backbone.blocks.1.mlp.proj_in.bias",
    "image_encoder.trunk.blocks.1.mlp.layers.1.bias": "image_encoder.backbone.blocks.1.mlp.proj_out.bias",
    "image_encoder.trunk.blocks.1.proj.bias": "image_encoder.backbone.blocks.1.proj.bias",
    "image_encoder.neck.convs.3.conv.bias": "image_encoder.neck.convs.3.bias",
    "no_mem_embed": "no_memory_embedding",
    "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": "shared_image_embedding.positional_embedding",
    "sam_prompt_encoder.not_a_point_embed.weight": "prompt_encoder.not_a_point_embed.weight",
    "sam_prompt_encoder.mask_downscaling.4.bias": "prompt_encoder.mask_embed.layer_norm2.bias",
    "sam_mask_decoder.transformer.layers.0.self_attn.out_proj.bias": (
        "mask_decoder.transformer.layers.0.self_attn.o_proj.bias"
    ),
    "sam_mask_decoder.transformer.layers.0.norm4.bias": "mask_decoder.transformer.layers.0.layer_norm4.bias",
    "sam_mask_decoder.transformer.layers.0.mlp.layers.1.bias": "mask_decoder.transformer.layers.0.mlp.proj_out.bias",
    "sam_mask_decoder.transformer.norm_final_attn.bias": "mask_decoder.transformer.layer_norm_final_attn.bias",
    "sam_mask_decoder.output_upscaling.1.bias": "mask_decoder.upscale_layer_norm.bias",
    "sam_mask_decoder.output_hypernetworks_mlps.2.layers.1.bias": (
        "mask_decoder.output_hypernetworks_mlps.2.layers.0.bias"
    ),
    "sam_mask_decoder.iou_prediction_head.layers.2.bias": "mask_decoder.iou_prediction_head.proj_out.bias",
    "sam_mask_decoder.pred_obj_score_head.layers.0.bias": "mask_decoder.pred_obj_score_head.proj_in.bias",
    "sam_mask_decoder.obj_score_token.weight": "mask_decoder.obj_score_token.weight",
    "sam_mask_decoder.conv_s0.bias": "mask_decoder.conv_s0.bias",
}


@pytest.fixture
def theirs():
    """A small SAM 2 of transformers with random weights."""
    torch.manual_seed(2)
    return move(transformers.Sam2Model(sam2.hf_config(SPEC)))


@pytest.fixture
def small_images(images):
    """Two images of noise of the miniature's size."""
    return images[..., : SPEC.image_size, : SPEC.image_size]


def load(path):
    return load_base(ModelConfig(name="sam2_mini", checkpoint=path, image_size="native", precision="fp32"))


def official_of(theirs):
    """What the authors' file of the same weights holds: in one tensor for every kind of point, with memory."""
    own = {key.replace("vision_encoder.", "image_encoder."): value for key, value in theirs.state_dict().items()}
    # Theirs has a random encoding for images and one for prompts; the authors have one.
    own["prompt_encoder.shared_embedding.positional_embedding"] = own["shared_image_embedding.positional_embedding"]
    memory = {"maskmem_tpos_enc": torch.ones(7, 1, 1, 8), "memory_attention.norm.weight": torch.ones(32)}
    return {"model": to_official(own) | memory | {"obj_ptr_proj.layers.0.bias": torch.ones(32)}}


@torch.no_grad()
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("layout", ["Hugging Face Sam2Model", "facebookresearch/sam2"])
def test_their_embeddings_are_ours(layout, half, theirs, small_images, tmp_path):
    path = tmp_path / "sam2.pt"
    if layout.startswith("Hugging"):
        path = tmp_path / "folder"
        (theirs.half() if half else theirs).save_pretrained(path)
        theirs.float()
    else:
        content = official_of(theirs.half().float() if half else theirs)
        torch.save(content, path)
    found = recognise(path)
    assert (found.layout, found.family, found.size) == (layout, "sam2", "sam2_mini")
    assert any("memory of videos: 3 tensors" in words for words in found.left_out) == (path.suffix == ".pt")
    sam = load(path)
    pixels = normalise(sam, small_images)
    embeddings = theirs.get_image_embeddings(pixels)[-1]
    assert embeddings.std() > 1e-2
    torch.testing.assert_close(sam.encode(pixels)[0], embeddings, rtol=0, atol=1e-4)


def test_the_memory_of_a_video_model_is_left_out(theirs, tmp_path):
    weights = theirs.state_dict()
    extras = {"memory_encoder.projection.bias": torch.ones(8), "no_object_pointer": torch.ones(1, 32)}
    save_file({key: value.clone() for key, value in (weights | extras).items()}, tmp_path / "model.safetensors")
    found = recognise(tmp_path)
    assert found.left_out == ("the memory of videos: 2 tensors",)
    assert len(found.weights) == len(weights)


def test_an_encoder_alone_has_fresh_parts_beside_it(theirs, tmp_path):
    weights = {key: value for key, value in theirs.state_dict().items() if key.startswith("vision_encoder.")}
    save_file({key: value.clone() for key, value in weights.items()}, tmp_path / "model.safetensors")
    first, second = load(tmp_path).state_dict(), load(tmp_path).state_dict()
    assert recognise(tmp_path).fresh[:2] == ("prompt_encoder", "mask_decoder")
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_names_are_the_authors(theirs):
    model = build_sam("sam2_mini")
    official = to_official(model.state_dict())
    for key, ours in NAMES.items():
        assert torch.equal(official[key], model.state_dict()[ours]), key
    # Every one of the 251 that a file of this size has without the memory, 3 more than ours: points have one each.
    assert len(official) == 251
    kinds = {re.sub(r"\d+", "#", key.rsplit(".", 1)[0]) for key in official}
    assert not [kind for kind in kinds if kind.startswith(("mask_decoder", "prompt_encoder", "image_encoder.backbone"))]


def test_every_weight_returns_as_it_was(theirs, tmp_path):
    torch.save(official_of(theirs), tmp_path / "first.pt")
    first = load(tmp_path / "first.pt").state_dict()
    torch.save({"model": to_official(first)}, tmp_path / "second.pt")
    folder = tmp_path / "folder"
    folder.mkdir()
    save_file({to_hugging_face(key): value for key, value in first.items()}, folder / "model.safetensors")
    for path in (tmp_path / "second.pt", folder):
        again = load(path).state_dict()
        assert all(torch.equal(value, again[key]) for key, value in first.items())


def test_transformers_loads_what_it_is_told_of_a_model(tmp_path):
    sam = move(build_sam("sam2_mini"))
    weights = {to_hugging_face(key): value.contiguous() for key, value in sam.state_dict().items()}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text(sam2.hf_config(SPEC).to_json_string())
    loaded, report = transformers.Sam2Model.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert all(torch.equal(value, weights[key]) for key, value in loaded.state_dict().items())


@pytest.mark.parametrize("name", [name for name in MODEL_SPECS if name.startswith("sam2_")])
def test_a_size_is_found_by_shapes(name):
    with torch.device("meta"):
        weights = build_sam(name).state_dict()
    assert sam2_size(weights).name == name


def test_weights_of_another_family_are_refused(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "saved")
    with pytest.raises(CheckpointError, match=r"sam2_mini of family sam2 .*--set model.name=sam2_mini"):
        load_base(ModelConfig(name="vit_b", checkpoint=tmp_path / "saved", image_size="native", precision="fp32"))


@torch.no_grad()
def test_the_authors_own_encoder_and_decoder_give_the_same(small_images, tmp_path):
    pytest.importorskip(
        "sam2", reason="the package sam2 is not installed; pip install --no-deps sam2 iopath hydra-core"
    )
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine
    from sam2.modeling.sam.mask_decoder import MaskDecoder
    from sam2.modeling.sam.prompt_encoder import PromptEncoder
    from sam2.modeling.sam.transformer import TwoWayTransformer

    torch.manual_seed(4)
    channels, side = SPEC.embed_channels, SPEC.image_size // 16
    trunk = Hiera(
        embed_dim=SPEC.encoder_width, num_heads=SPEC.encoder_heads, stages=SPEC.blocks, window_spec=SPEC.window_sizes,
        global_att_blocks=SPEC.global_attn_indexes, window_pos_embed_bkg_spatial_size=(7, 7),
    )  # fmt: skip
    positions = PositionEmbeddingSine(num_pos_feats=channels, normalize=True)
    neck = FpnNeck(positions, channels, trunk.channel_list, fpn_top_down_levels=[2, 3], fpn_interp_model="nearest")
    model = torch.nn.Module()
    model.image_encoder = ImageEncoder(trunk, neck, scalp=1)
    model.sam_prompt_encoder = PromptEncoder(channels, (side, side), (16 * side, 16 * side), mask_in_chans=16)
    model.sam_mask_decoder = MaskDecoder(
        transformer_dim=channels, transformer=TwoWayTransformer(2, channels, SPEC.decoder_heads, SPEC.decoder_mlp_dim),
        iou_head_hidden_dim=SPEC.iou_head_hidden_dim, use_high_res_features=True, iou_prediction_use_sigmoid=True,
        pred_obj_scores=True, pred_obj_scores_mlp=True,
    )  # fmt: skip
    model.no_mem_embed = torch.nn.Parameter(torch.randn(1, 1, channels))
    move(model)
    torch.save({"model": model.state_dict()}, tmp_path / "sam2.1_hiera.pt")
    ours = load(tmp_path / "sam2.1_hiera.pt")
    pixels = normalise(ours, small_images)
    finest, finer, embeddings = model.image_encoder(pixels)["backbone_fpn"]
    embeddings = embeddings + model.no_mem_embed.view(1, -1, 1, 1)
    decoder = model.sam_mask_decoder
    sparse, dense = model.sam_prompt_encoder(points=None, boxes=None, masks=None)
    predict = partial(decoder.predict_masks, image_pe=model.sam_prompt_encoder.get_dense_pe(), repeat_image=False)
    masks, quality, *_ = predict(
        image_embeddings=embeddings,
        sparse_prompt_embeddings=sparse.expand(2, -1, -1),
        dense_prompt_embeddings=dense.expand(2, -1, -1, -1),
        high_res_features=[decoder.conv_s0(finest), decoder.conv_s1(finer)],
    )
    features = ours.encode(pixels)
    assert min(embeddings.std(), masks.std()) > 1e-2
    torch.testing.assert_close(features[0], embeddings, rtol=0, atol=1e-4)
    for own, wanted in zip(ours.predict_masks(features), (masks, quality), strict=True):
        torch.testing.assert_close(own, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("model", ["Sam2VideoModel"])
def test_models_of_videos_at_full_size_leave_what_an_image_needs(model):
    assert "the memory of videos: 160 tensors" in left_out_of_videos(model, "sam2_hiera_tiny")
