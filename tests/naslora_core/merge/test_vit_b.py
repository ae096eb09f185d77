"""The merges on an official architecture: relative positions, and windows that are partly padding."""

import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.merge.exact import exact
from naslora_core.merge.fold import fold
from naslora_core.sam.build import build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter


@torch.no_grad()
def test_exact_and_fold_change_no_logit_of_vit_b_by_more_than_rounding(adapter, search):
    torch.manual_seed(3)
    sam = build_sam("vit_b", image_size=256)
    images = torch.randint(0, 256, (1, 3, 256, 256), dtype=torch.uint8)
    base = PromptFreeSegmenter(sam)(images)
    layers = add_adapters(sam, adapter, search, seed=1)
    assert torch.equal(PromptFreeSegmenter(sam)(images), base)
    for layer in layers.values():
        torch.nn.init.normal_(layer.lora_B, std=0.05)
        torch.nn.init.normal_(layer.mixed_ops()["0_1"].alphas)
    adapted = PromptFreeSegmenter(sam)(images)
    assert (adapted - base).abs().max() > 1e-3
    assert (PromptFreeSegmenter(fold(sam).sam)(images) - adapted).abs().max() < 1e-4
    for layer in layers.values():
        layer.mixed_ops()["0_1"].set_time(temperature=1, pressure=float("inf"))
    pointwise = PromptFreeSegmenter(sam)(images)
    assert (pointwise - adapted).abs().max() > 1e-3
    assert (PromptFreeSegmenter(exact(sam).sam)(images) - pointwise).abs().max() < 1e-4
