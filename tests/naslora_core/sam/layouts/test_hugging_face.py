"""Files and folders of transformers give the masks of its own SAM."""

import json

import pytest
import torch

from naslora_core.errors import CheckpointError
from naslora_core.sam.build import build_sam, normalise
from naslora_core.sam.checkpoint import checkpoint_sha256
from naslora_core.sam.layouts.hugging_face import from_hugging_face, to_hugging_face
from naslora_core.sam.layouts.recognise import recognise
from tests.naslora_core.sam.layouts.conftest import assert_same, move

transformers = pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")

VISION = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 128, "window_size": 5,
    "global_attn_indexes": [1], "output_channels": 16, "mlp_dim": 128, "num_pos_feats": 8,
}  # fmt: skip
PROMPTS = {"hidden_size": 16, "image_size": 128, "image_embedding_size": 8}
DECODER = {"hidden_size": 16, "num_attention_heads": 2, "mlp_dim": 24, "iou_head_hidden_dim": 16}


@pytest.fixture(params=["SamModel", "SamHQModel"])
def theirs(request):
    """A small SAM of transformers with random weights."""
    torch.manual_seed(2)
    own = request.param.removesuffix("Model")
    more = {"vit_dim": 32} if own == "SamHQ" else {}
    config = getattr(transformers, f"{own}Config")(
        vision_config=VISION, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER | more
    )
    return move(getattr(transformers, request.param)(config))


@torch.no_grad()
def outputs(theirs, images):
    """Embeddings, and the logits of SAM's own mask: without SAM-HQ's token."""
    pixels = normalise(build_sam("vit_b"), images)
    embeddings = theirs.vision_encoder(pixels)[0]
    if type(theirs).__name__ == "SamModel":
        return embeddings, theirs(pixel_values=pixels, multimask_output=False).pred_masks[:, 0]
    plain = transformers.SamModel(
        transformers.SamConfig(vision_config=VISION, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER)
    ).eval()
    assert not plain.load_state_dict(theirs.state_dict(), strict=False).missing_keys
    return embeddings, plain(pixel_values=pixels, multimask_output=False).pred_masks[:, 0]


def as_folder(theirs, folder):
    theirs.save_pretrained(folder)
    return folder


def as_shards(theirs, folder):
    theirs.save_pretrained(folder, max_shard_size="60KB")
    assert not (folder / "model.safetensors").exists()
    return folder


def as_file(theirs, folder):
    theirs.save_pretrained(folder)
    return folder / "model.safetensors"


def as_pickle(theirs, folder):
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    torch.save(theirs.state_dict(), folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize("save", [as_folder, as_shards, as_file, as_pickle])
def test_their_masks_are_ours(save, theirs, images, load, tmp_path):
    path = save(theirs, tmp_path / "saved")
    assert_same(load(path), images, *outputs(theirs, images))
    found = recognise(path)
    assert found.layout == f"Hugging Face {type(theirs).__name__}"
    assert len(checkpoint_sha256(path)) == 64
    is_hq = type(theirs).__name__ == "SamHQModel"
    assert any("SAM-HQ's token" in words for words in found.left_out) == is_hq


def test_a_shard_counts_for_the_hash(theirs, tmp_path):
    folder = as_shards(theirs, tmp_path / "saved")
    before = checkpoint_sha256(folder)
    shard = sorted(folder.glob("*.safetensors"))[-1]
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert checkpoint_sha256(folder) != before
    shard.unlink()
    with pytest.raises(CheckpointError, match=rf"names {shard.name}, which .*saved does not hold"):
        recognise(folder)


def test_an_index_names_files_of_its_folder_only(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../a.safetensors"}}))
    with pytest.raises(CheckpointError, match="weight_map has to name files of this folder"):
        recognise(tmp_path)


def test_a_folder_without_weights_says_what_it_holds(tmp_path):
    (tmp_path / "adapter_model.safetensors").touch()
    with pytest.raises(CheckpointError, match="without model.safetensors or .* it holds adapter_model.safetensors"):
        recognise(tmp_path)


def test_every_name_there_and_back_is_the_same():
    ours = build_sam("vit_b").state_dict().keys()
    theirs = [to_hugging_face(key) for key in ours]
    assert len(set(theirs)) == len(ours)
    assert [from_hugging_face(key) for key in theirs] == list(ours)
    assert to_hugging_face("image_encoder.blocks.10.attn.qkv") == "vision_encoder.layers.10.attn.qkv"
