"""Files of MobileSAM in every layout give the masks of the model they were saved from."""

import pytest
import torch

from naslora_core.config import ModelConfig
from naslora_core.errors import CheckpointError
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.families.mobile_sam_keys import to_official
from naslora_core.sam.layouts.recognise import recognise
from naslora_core.sam.segmenter import PromptFreeSegmenter
from tests.naslora_core.sam.layouts.conftest import move

pytest.importorskip("timm", reason="timm comes with the extras dev and hf")


@pytest.fixture
def sam():
    torch.manual_seed(4)
    return move(build_sam("mobile_sam_mini"))


def plain(sam):
    return to_official(sam.state_dict())


def micro_sam(sam):
    return {"model_state": {f"sam.{key}": value for key, value in plain(sam).items()}, "epoch": 3}


def light_hq(sam):
    extras = {"mask_decoder.hf_token.weight": torch.ones(1, 32), "mask_decoder.hf_mlp.layers.0.bias": torch.ones(32)}
    return {f"module.{key}": value for key, value in (plain(sam) | extras).items()}


def own(sam):
    return sam.state_dict()


def encoder(sam):
    return {key: value for key, value in plain(sam).items() if key.startswith("image_encoder.")}


def bare_encoder(sam):
    return {key.removeprefix("image_encoder."): value for key, value in encoder(sam).items()}


def load(content, folder):
    torch.save(content, folder / "weights.pt")
    config = ModelConfig(
        name="mobile_sam_mini", checkpoint=folder / "weights.pt", image_size="native", precision="fp32"
    )
    return load_base(config), recognise(folder / "weights.pt")


@torch.no_grad()
@pytest.mark.parametrize(
    ("save", "layout"),
    [(plain, "MobileSAM"), (micro_sam, "MobileSAM"), (light_hq, "Light HQ-SAM"), (own, "MobileSAM in this project")],
)
def test_masks_are_those_of_the_model_that_was_saved(save, layout, sam, images, tmp_path):
    loaded, found = load(save(sam), tmp_path)
    assert (found.family, found.size, found.layout) == ("mobile_sam", "mobile_sam_mini", layout)
    assert any("classifier, which no image passes: 4" in words for words in found.left_out) == (save is not own)
    expected = PromptFreeSegmenter(sam).eval()(images)
    assert expected.std() > 1e-3
    assert torch.equal(PromptFreeSegmenter(loaded).eval()(images), expected)


@pytest.mark.parametrize("save", [encoder, bare_encoder])
def test_of_an_encoder_alone_the_rest_starts_fresh(save, sam, tmp_path):
    loaded, found = load(save(sam), tmp_path)
    assert found.fresh == ("prompt_encoder", "mask_decoder")
    for key, value in loaded.image_encoder.state_dict().items():
        assert torch.equal(value, sam.image_encoder.state_dict()[key])
    assert not torch.equal(loaded.mask_decoder.mask_tokens.weight, sam.mask_decoder.mask_tokens.weight)


def test_half_precision_is_read_as_float32(sam, tmp_path):
    loaded, found = load({key: value.half() for key, value in plain(sam).items()}, tmp_path)
    assert found.precision == "float16"
    assert all(value.dtype != torch.float16 for value in loaded.state_dict().values())


def test_lite_medsam_is_named_and_refused(sam, tmp_path):
    weights = plain(sam)
    for place in (0, 2):
        key = f"image_encoder.patch_embed.seq.{place}.c.weight"
        weights[key] = weights[key][:, :, :1, :1]
    with pytest.raises(CheckpointError, match="LiteMedSAM, whose first layers keep all 256 x 256 pixels"):
        load(weights, tmp_path)


def test_another_size_is_named(sam, tmp_path):
    weights = plain(sam)
    weights = {key: value for key, value in weights.items() if ".layers.2.blocks.0." not in key}
    with pytest.raises(CheckpointError, match="widths 16, 16, 32, 32 and 1, 1, 0, 1 blocks"):
        load(weights, tmp_path)
