"""SAM 3's tracker loads from its authors' file and from transformers' folders, and goes back without a changed bit."""

import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from naslora_core.config import ModelConfig
from naslora_core.errors import CheckpointError
from naslora_core.sam.build import build_sam, normalise
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.families import sam3
from naslora_core.sam.layouts.recognise import recognise
from naslora_core.sam.layouts.sam3 import sam3_size, to_hugging_face
from naslora_core.sam.specs import MODEL_SPECS
from tests.naslora_core.sam.layouts.conftest import left_out_of_videos, move

transformers = pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")
SPEC = MODEL_SPECS["sam3_mini"]
DETECTOR = "the detector of concepts with its text encoder"


@pytest.fixture
def theirs():
    """A small SAM 3 of transformers with random weights, with the level of the pyramid that is the detector's alone."""
    torch.manual_seed(2)
    config = sam3.hf_config(SPEC)
    config.vision_config.scale_factors = [4.0, 2.0, 1.0, 0.5]
    return move(transformers.Sam3TrackerModel(config))


def load(path):
    return load_base(ModelConfig(name="sam3_mini", checkpoint=path, image_size="native", precision="fp32"))


def saved(weights, folder):
    """A folder with weights under the names that transformers uses in memory."""
    folder.mkdir()
    save_file({key: value.clone() for key, value in weights.items()}, folder / "model.safetensors")
    return folder


def by_save_pretrained(theirs, path):
    theirs.save_pretrained(path)
    assert all(key.startswith("tracker_model.") for key in load_file(path / "model.safetensors"))
    return path


def as_in_memory(theirs, path):
    return saved(theirs.state_dict(), path)


def beside_the_detector(theirs, path):
    backbone, neck = "vision_encoder.backbone.", "vision_encoder.neck."
    whole = {"detector_model.text_encoder.bias": torch.ones(2), "tracker_model.memory_encoder.bias": torch.ones(2)}
    for key, value in theirs.state_dict().items():
        name = f"detector_model.{key}" if key.startswith(backbone) else f"tracker_model.{key}"
        whole[f"tracker_neck.{key.removeprefix(neck)}" if key.startswith(neck) else name] = value
    return saved(whole, path)


@torch.no_grad()
@pytest.mark.parametrize("save", [by_save_pretrained, as_in_memory, beside_the_detector])
def test_their_features_are_ours(save, theirs, images, tmp_path):
    path = save(theirs, tmp_path / "saved")
    found = recognise(path)
    assert (found.family, found.size, found.fresh) == ("sam3", "sam3_mini", ())
    assert "the pyramid's coarsest level, which the detector alone uses: 4 tensors" in found.left_out
    whole = save is beside_the_detector
    assert any(words.startswith(DETECTOR) for words in found.left_out) == whole
    assert any(words.startswith("the memory of videos") for words in found.left_out) == whole
    sam = load(path)
    pixels = normalise(sam, images[..., : SPEC.image_size, : SPEC.image_size])
    finest, finer, embeddings = theirs.get_image_embeddings(pixels)
    # transformers adds the embedding to the pyramid's last level, which nobody looks at; the authors to the third.
    embeddings = embeddings + theirs.no_memory_embedding.view(1, -1, 1, 1)
    for own, wanted in zip(sam.encode(pixels), (embeddings, finer, finest), strict=True):
        assert wanted.std() > 1e-2
        torch.testing.assert_close(own, wanted, rtol=0, atol=1e-4)


def test_every_weight_returns_as_it_was_and_transformers_loads_it(theirs, tmp_path):
    first = load(as_in_memory(theirs, tmp_path / "first")).state_dict()
    weights = {to_hugging_face(key): value for key, value in first.items()}
    folder = saved(weights, tmp_path / "second")
    again = load(folder).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(sam3.hf_config(SPEC).to_json_string())
    loaded, report = transformers.Sam3TrackerModel.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    assert all(torch.equal(value, weights[key]) for key, value in loaded.state_dict().items())


def test_the_detector_alone_is_told_from_the_tracker(theirs, tmp_path):
    weights = theirs.state_dict() | {"detr_decoder.query_embed.weight": torch.ones(2, 2)}
    with pytest.raises(CheckpointError, match="detector of concepts alone .* give the folder of facebook/sam3"):
        recognise(saved(weights, tmp_path / "saved"))


@pytest.mark.parametrize("name", ["sam3", "sam3_mini"])
def test_a_size_is_found_by_shapes(name):
    with torch.device("meta"):
        weights = build_sam(name).state_dict()
    assert sam3_size(weights).name == name


@pytest.fixture
def authors():
    """The authors' encoder, pyramid of both kinds, prompt encoder and mask decoder, at a miniature's size."""
    pytest.importorskip("sam3", reason="the package sam3 is not installed; pip install --no-deps sam3 einops iopath")
    from sam3.model.necks import Sam3DualViTDetNeck
    from sam3.model.vitdet import ViT
    from sam3.sam.mask_decoder import MaskDecoder
    from sam3.sam.prompt_encoder import PromptEncoder
    from sam3.sam.transformer import TwoWayTransformer

    torch.manual_seed(4)
    channels, side = SPEC.embed_channels, SPEC.image_size // SPEC.patch_size
    trunk = ViT(
        img_size=SPEC.image_size, pretrain_img_size=SPEC.positions_size * SPEC.patch_size, patch_size=SPEC.patch_size,
        embed_dim=SPEC.encoder_width, depth=SPEC.encoder_depth, num_heads=SPEC.encoder_heads,
        mlp_ratio=SPEC.encoder_mlp_dim / SPEC.encoder_width, global_att_blocks=SPEC.global_attn_indexes,
        rel_pos_blocks=(), use_rope=True, use_interp_rope=True, window_size=SPEC.window_size, retain_cls_token=False,
        ln_pre=True, bias_patch_embed=False,
    )  # fmt: skip
    model, tracker = torch.nn.Module(), torch.nn.Module()
    model.detector = torch.nn.ModuleDict(
        {"backbone": torch.nn.ModuleDict({"language_backbone": torch.nn.Linear(2, 2)})}
    )
    # In place of a position encoding, which no output here depends on.
    model.detector["backbone"]["vision_backbone"] = Sam3DualViTDetNeck(
        trunk, torch.nn.Identity(), channels, add_sam2_neck=True
    )
    tracker.sam_prompt_encoder = PromptEncoder(channels, (side, side), (SPEC.image_size,) * 2, mask_in_chans=16)
    tracker.sam_mask_decoder = MaskDecoder(
        transformer_dim=channels, transformer=TwoWayTransformer(2, channels, SPEC.decoder_heads, SPEC.decoder_mlp_dim),
        iou_head_hidden_dim=SPEC.iou_head_hidden_dim, use_high_res_features=True, iou_prediction_use_sigmoid=True,
        pred_obj_scores=True, pred_obj_scores_mlp=True,
    )  # fmt: skip
    tracker.no_mem_embed = torch.nn.Parameter(torch.randn(1, 1, channels))
    tracker.obj_ptr_proj = torch.nn.Linear(2, 2)
    model.tracker = tracker
    # Less than `move` does: after that many layers logits in the hundreds are no nearer than 1e-4.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.1)
    return model.eval()


@torch.no_grad()
def test_the_authors_own_encoder_and_decoder_give_the_same(authors, images, tmp_path):
    torch.save({"model": authors.state_dict()}, tmp_path / "sam3.pt")
    found = recognise(tmp_path / "sam3.pt")
    assert found.layout == "facebookresearch/sam3"
    kinds = [re.sub(r": \d+ \w+$", "", words) for words in found.left_out]
    assert kinds == [
        DETECTOR,
        "the memory of videos",
        "rotations of queries and keys, which are computed",
        "the position of a class token",
        "the pyramid's coarsest level, which the detector alone uses",
    ]
    ours = load(tmp_path / "sam3.pt")
    pixels = normalise(ours, images[..., : SPEC.image_size, : SPEC.image_size])
    tracker = authors.tracker
    _, _, (finest, finer, embeddings, _), _ = authors.detector["backbone"]["vision_backbone"](pixels)
    embeddings = embeddings + tracker.no_mem_embed.view(1, -1, 1, 1)
    sparse, dense = tracker.sam_prompt_encoder(points=None, boxes=None, masks=None)
    decoder = tracker.sam_mask_decoder
    masks, quality, *_ = decoder.predict_masks(
        image_embeddings=embeddings,
        image_pe=tracker.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse.expand(2, -1, -1),
        dense_prompt_embeddings=dense.expand(2, -1, -1, -1),
        repeat_image=False,
        high_res_features=[decoder.conv_s0(finest), decoder.conv_s1(finer)],
    )
    features = ours.encode(pixels)
    assert min(embeddings.std(), masks.std()) > 1e-2
    torch.testing.assert_close(features[0], embeddings, rtol=0, atol=1e-4)
    for own, wanted in zip(ours.predict_masks(features), (masks, quality), strict=True):
        torch.testing.assert_close(own, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("model", ["Sam3VideoModel", "Sam3TrackerVideoModel"])
def test_models_of_videos_at_full_size_leave_what_an_image_needs(model):
    assert "the memory of videos: 160 tensors" in left_out_of_videos(model, "sam3")
