"""Leave one out on a small model of which it is known what each layer is worth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.bench.agreement import Share, agreement, describe_layer, last_shares, leave_one_out, rank_correlation
from naslora_core.config import load_params
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import DataError
from naslora_core.sam.build import build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.history import AlphaRecord, write_records
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
    said = {name: Share(4 - place, {OPERATIONS[place]: 0.5}) for place, name in enumerate(adapters)}
    before = mean_dice(segmenter, validation, "fp32")
    assert before == pytest.approx(1, abs=0.01)
    found = leave_one_out(segmenter, adapters, said, validation, "fp32")
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
    assert result["chosen_rank"]["rho"] is result["operation"]["rho"] is None
    line = describe_layer(found[2])
    assert (line["operation"], line["ranks"]["v"], line["expected_rank_before"]) == ("dct_filter", 2, 2)


def test_the_middle_tap_of_a_pointwise_kernel_loses_nothing(small):
    segmenter, adapters, validation = small
    name = "image_encoder.blocks.0.attn.qkv"
    operation = adapters[name].op
    kept = operation.weight.detach().clone()
    middle = torch.zeros_like(kept)
    middle[..., 1, 1] = kept[..., 1, 1]
    operation.weight.data.copy_(middle)
    try:
        (one,) = leave_one_out(segmenter, {name: adapters[name]}, {name: Share(1, {})}, validation, "fp32")
    finally:
        operation.weight.data.copy_(kept)
    assert one.pointwise_drops.tolist() == pytest.approx([0] * 4, abs=1e-6)
    assert adapters[name].op is operation


def alphas(*epochs):
    return [
        AlphaRecord(epoch, *record)
        for epoch, (conv, q, k) in enumerate(epochs)
        for record in [
            ("blocks.0.attn.qkv", "skip_connect", 1 - conv),
            ("blocks.0.attn.qkv", "conv_3x3", conv),
            *(("blocks.0.attn.qkv:q", f"rank {rank}", share) for rank, share in zip((0, 2, 4), q, strict=True)),
            *(("blocks.0.attn.qkv:k", f"rank {rank}", share) for rank, share in zip((0, 2, 4), k, strict=True)),
        ]
    ]


def test_what_was_said_last_is_of_the_epoch_before_the_choice(tmp_path):
    path = tmp_path / "alphas.csv"
    before, after = (0.75, (0.5, 0.5, 0.0), (0.0, 0.25, 0.75)), (1.0, (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    write_records(path, AlphaRecord, alphas((0.5, (0.3, 0.3, 0.4), (0.3, 0.3, 0.4)), before, after, after))
    epoch, said = last_shares(pd.read_csv(path))
    assert epoch == 1
    assert said == {"blocks.0.attn.qkv": Share((1.0 + 3.5) / 2, {"skip_connect": 0.25, "conv_3x3": 0.75})}
    write_records(path, AlphaRecord, alphas(after))
    with pytest.raises(DataError, match="no epoch in which ranks had shares"):
        last_shares(pd.read_csv(path))


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
