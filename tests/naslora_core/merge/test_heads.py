"""Merging models that were trained on crops, with a detail path: with the same certainty as others."""

import math

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.cell import MixedOp
from naslora_core.config import MergeConfig
from naslora_core.merge.certificate import certify, seconds_per_image
from naslora_core.merge.choose import choose
from naslora_core.merge.context import MergeContext
from naslora_core.merge.merged import CONFIG_FILE, load_merged, save_merged
from naslora_core.sam.build import build_sam
from naslora_core.sam.head import MaskHead, head_of, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter, predict_low_res
from naslora_core.validation import dice_per_image

SIDE = 64
HEAD = MaskHead(2, "half", scale=1.0)


@pytest.fixture
def trained(adapter, search):
    """A model of two classes with a detail path, all of it moved away from its neutral start."""
    torch.manual_seed(13)
    sam = build_sam("sam_tiny", SIDE)
    set_head(sam, HEAD)
    for layer in add_adapters(sam, adapter, search, seed=1).values():
        torch.nn.init.normal_(layer.lora_B, std=0.05)
        for alphas in layer.arch_parameters():
            torch.nn.init.normal_(alphas)
    torch.nn.init.normal_(sam.mask_decoder.detail.out.weight)
    return sam.eval()


def logits(sam) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return predict_low_res(PromptFreeSegmenter(sam), torch.randint(0, 256, (2, 3, SIDE, SIDE), generator=generator))


@pytest.mark.parametrize("mode", ["exact", "fold", "calibrated"])
def test_a_merge_is_certified_on_parts_of_whole_images_and_keeps_the_head(trained, whole_images, mode, tmp_path):
    if mode == "exact":
        for module in trained.modules():
            if isinstance(module, MixedOp):
                module.set_time(temperature=1, pressure=math.inf)
    config = MergeConfig(mode=mode, max_metric_drop=1, calibration_images=8, ridge=0.001)
    choice = choose(trained, whole_images, MergeContext(whole_images, config))
    base = build_sam("sam_tiny", SIDE)
    certificate = certify(choice, base, trained, whole_images, 1)
    # 2 x 3 parts, 1, 1 x 2, 3 x 2 and 1 x 2.
    assert certificate.images == 17
    assert certificate.mode == mode
    if mode != "calibrated":
        assert 0 <= certificate.max_logit_difference < 1e-3
        assert certificate.relative_logit_difference < 1e-4
        # Pixels whose logits are next to zero, of which random weights give many, may change sides.
        after, before = certificate.validation_dice_after, certificate.validation_dice_before
        assert after == pytest.approx(before, abs=5e-3)
    assert all(seconds > 0 for seconds in seconds_per_image(choice, base, trained, whole_images).values())
    save_merged(tmp_path, choice.merged, "sam_tiny", mode, {})
    loaded = load_merged(tmp_path)
    assert head_of(loaded) == HEAD
    found = logits(loaded)
    assert found.shape == (2, 2, SIDE // 2, SIDE // 2)
    assert torch.equal(found, logits(choice.merged.sam))
    if mode != "calibrated":
        torch.testing.assert_close(found, logits(trained), atol=1e-3, rtol=1e-4)


def test_an_ordinary_model_says_nothing_of_a_head(adapted_sam, tmp_path):
    from naslora_core.merge.fold import fold

    save_merged(tmp_path, fold(adapted_sam[0]), "sam_tiny", "fold", {})
    text = (tmp_path / CONFIG_FILE).read_text()
    assert "classes" in text
    assert "detail" not in text
    assert "scale" not in text


def test_dice_of_whole_images_is_measured_at_their_own_size(trained, whole_images, monkeypatch):
    segmenter = PromptFreeSegmenter(trained)
    wanted = {row: whole_images.masks[row] for row in range(len(whole_images))}

    def truth(_, image, *__):
        row = next(row for row in wanted if whole_images.images[row] is image)
        ids = torch.from_numpy(wanted[row])
        yield 0, torch.stack([torch.where(ids == number, 1.0, -1.0) for number in (1, 2)]).numpy()

    assert all(0 <= score < 1 for score in dice_per_image(segmenter, whole_images, range(5), "fp32"))
    monkeypatch.setattr("naslora_core.validation.tiled_logits", truth)
    assert dice_per_image(segmenter, whole_images, [0, 3], "fp32").tolist() == [1, 1]
    # A column of two is taken for one of one: what both have, twice, of all that either has.
    wanted[0] = wanted[0].copy()
    wanted[0][wanted[0] == 2] = 1
    overlap, found = (whole_images.masks[0] == 1).sum(), (wanted[0] == 1).sum()
    expected = (2 * overlap / (overlap + found) + 0) / 2
    assert float(dice_per_image(segmenter, whole_images, [0], "fp32")) == pytest.approx(expected)
