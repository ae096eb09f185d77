"""Leave one out on a small model of which it is known what each layer is worth."""

from pathlib import Path

import numpy as np
import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.bench.agreement import Worth, agreement, describe_layer, leave_one_out, rank_correlation, read_worth
from naslora_core.config import load_params
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import DataError
from naslora_core.sam.build import build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.validation import mean_dice

ROOT = Path(__file__).parents[3]
OPERATIONS = ("image_conv_3x3", "skip_connect", "dct_filter", "singular_values")
STRENGTHS = (0.5, 0.2, 0.05, 0.0)


class Centred(PromptFreeSegmenter):
    """Random weights find all or nothing; less their median, they find half."""

    middle = 0.0

    def forward(self, images):
        return super().forward(images) - self.middle


@pytest.fixture(scope="module")
def small():
    """A model with branches of falling strength, and images whose masks are its own predictions."""
    params = load_params(ROOT / "params.yaml")
    torch.manual_seed(2)
    sam = build_sam("sam_tiny", 64)
    choices = {
        f"blocks.{block}.attn.qkv": LayerChoice(operation=operation, ranks={"q": 2, "k": 2, "v": 2})
        for block, operation in enumerate(OPERATIONS)
    }
    adapters = add_adapters(sam, params.adapter, params.search, seed=1, architecture=choices)
    for layer, strength in zip(adapters.values(), STRENGTHS, strict=True):
        if layer.op.scales_base:
            torch.nn.init.constant_(layer.op.scales, 1 + strength)
        else:
            torch.nn.init.normal_(layer.lora_B, std=strength)
    torch.nn.init.normal_(adapters["image_encoder.blocks.2.attn.qkv"].op.gains)
    segmenter = Centred(sam).eval()
    images = torch.randint(0, 256, (4, 64, 64, 3), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    with torch.no_grad():
        logits = segmenter.upscale(segmenter(images.permute(0, 3, 1, 2)))[:, 0]
    segmenter.middle = float(logits.median())
    masks = (logits > segmenter.middle).to(torch.uint8).numpy()
    sizes = [(64, 64)] * 4
    return segmenter, adapters, PreparedData(images.numpy(), masks, sizes, sizes, list("abcd"))


def test_a_branch_is_worth_what_is_lost_without_it(small):
    segmenter, adapters, validation = small
    worth = {name: Worth(4.0 - place, 0.5) for place, name in enumerate(adapters)}
    before = mean_dice(segmenter, validation, "fp32")
    assert before == pytest.approx(1, abs=0.01)
    found = leave_one_out(segmenter, adapters, worth, validation, "fp32")
    drops = [one.drops.mean() for one in found]
    assert drops[0] > drops[1] > drops[2] > drops[3] == 0
    first = adapters["image_encoder.blocks.0.attn.qkv"]
    weights = first.lora_B.detach().clone()
    torch.nn.init.zeros_(first.lora_B)
    assert before - mean_dice(segmenter, validation, "fp32") == pytest.approx(drops[0], abs=1e-6)
    first.lora_B.data.copy_(weights)
    assert mean_dice(segmenter, validation, "fp32") == before
    assert [one.pointwise_drops is None for one in found] == [False, True, False, True]
    # It is another cut than taking all of the branch away.
    assert found[0].pointwise_drops.mean() > 0
    assert not np.allclose(found[0].pointwise_drops, found[0].drops)
    result = agreement(found, seed=1)
    assert (result["branch"]["rho"], result["branch"]["layers"]) == (1, 4)
    # All have the same rank, and two spatial operations have no order worth a number.
    assert result["chosen_rank"]["rho"] is result["neighbours"]["rho"] is None
    line = describe_layer(found[2])
    assert (line["operation"], line["ranks"]["v"], line["worth_of_branch"]) == ("dct_filter", 2, 2)


def test_the_middle_tap_of_a_pointwise_kernel_loses_nothing(small):
    segmenter, adapters, validation = small
    name = "image_encoder.blocks.0.attn.qkv"
    operation = adapters[name].op
    kept = operation.weight.detach().clone()
    middle = torch.zeros_like(kept)
    middle[..., 1, 1] = kept[..., 1, 1]
    operation.weight.data.copy_(middle)
    try:
        (one,) = leave_one_out(segmenter, {name: adapters[name]}, {name: Worth(1.0, None)}, validation, "fp32")
    finally:
        operation.weight.data.copy_(kept)
    assert one.pointwise_drops.tolist() == pytest.approx([0] * 4, abs=1e-6)
    assert adapters[name].op is operation


def test_what_a_search_has_measured_is_read_and_what_was_drawn_is_refused():
    layers = [
        {"layer": "blocks.0.attn.qkv", "worth_of_branch": 0.25, "worth_of_neighbours": None},
        {"layer": "blocks.1.attn.qkv", "worth_of_branch": 0.5, "worth_of_neighbours": -0.125},
    ]
    assert read_worth({"layers": layers}) == {
        "blocks.0.attn.qkv": Worth(0.25, None), "blocks.1.attn.qkv": Worth(0.5, -0.125),
    }  # fmt: skip
    with pytest.raises(DataError, match="says of no layer what it is worth: the architecture was drawn or given"):
        read_worth({"layers": [{"layer": "blocks.0.attn.qkv"}]})


def test_a_layer_that_nothing_was_said_of_is_named(small):
    segmenter, adapters, validation = small
    with pytest.raises(DataError, match=r"blocks.0.attn.qkv was not searched under a budget"):
        leave_one_out(segmenter, adapters, {}, validation, "fp32")


def test_the_interval_of_a_correlation_is_narrow_where_order_is_sure_and_wide_where_it_is_noise():
    random, scores = np.random.default_rng(5), np.arange(30.0)
    clear = rank_correlation(scores, scores[:, None] + random.normal(size=(30, 40)), seed=1)
    noise = rank_correlation(scores, random.normal(size=(30, 40)), seed=1)
    assert clear["rho"] > 0.99
    assert clear["low"] > 0.95
    assert noise["low"] < 0 < noise["high"]
    reverse = rank_correlation(-scores, np.tile(scores[:, None], (1, 3)), seed=1)
    assert (reverse["rho"], reverse["low"], reverse["high"]) == (-1, -1, -1)
    assert rank_correlation(scores[:2], np.ones((2, 3)), seed=1)["rho"] is None
