"""Calibrated merges of models with a feature pyramid, whose convolutions are fitted last."""

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.merge import calibrated
from naslora_core.merge.calibrated import calibrate
from naslora_core.sam.build import build_sam, normalise
from naslora_core.sam.segmenter import PromptFreeSegmenter

pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")


@pytest.fixture(params=["sam2_mini", "sam3_mini"])
def name(request):
    return request.param


def adapted(name, adapter, search, space):
    """Return a model whose adapters were moved, and images for it."""
    torch.manual_seed(4)
    sam = build_sam(name)
    everywhere = adapter.model_copy(update={"target_modules": "auto"})
    for layer in add_adapters(sam, everywhere, search.model_copy(update={"space": space}), seed=3).values():
        torch.nn.init.normal_(layer.lora_B, std=0.1)
    side = sam.image_encoder.img_size
    images = torch.randint(0, 256, (6, side, side, 3), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    images = torch.nn.functional.avg_pool2d(images.permute(0, 3, 1, 2).float(), 5, 1, 2).byte()
    sizes = [(side, side)] * 6
    masks = images[:, 0].numpy() > 128
    data = PreparedData(images.permute(0, 2, 3, 1).numpy(), masks.astype("uint8"), sizes, sizes, list("abcdef"))
    return sam.eval(), images, data


@torch.no_grad()
def test_what_maps_single_tokens_is_merged_without_loss(name, adapter, search):
    sam, images, data = adapted(name, adapter, search, ["skip_connect", "conv_1x1"])
    merged = calibrate(sam, data, 6, 0.001).sam
    found, wanted = (PromptFreeSegmenter(model)(images) for model in (merged, sam))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


@torch.no_grad()
def test_the_pyramid_makes_up_for_what_a_matrix_cannot_see(name, adapter, search, monkeypatch):
    sam, images, data = adapted(name, adapter, search, "darts")
    before = {key: value.clone() for key, value in sam.state_dict().items()}
    wanted = sam.image_encoder(normalise(sam, images))
    errors = []
    for refit in (lambda *_: None, calibrated.refit_neck):
        monkeypatch.setattr(calibrated, "refit_neck", refit)
        merged = calibrate(sam, data, 6, 0.001).sam
        levels = merged.image_encoder(normalise(merged, images))
        errors.append([float((a - b).square().mean() / b.var()) for a, b in zip(levels, wanted, strict=True)])
    assert all(with_refit < without for without, with_refit in zip(*errors, strict=True))
    # SAM 3's pyramid has convolutions that see neighbours, SAM 2's has none.
    assert errors[1][0] < (0.8 if name == "sam3_mini" else 1) * errors[0][0]
    assert all(torch.equal(value, before[key]) for key, value in sam.state_dict().items())
