import dataclasses

import pytest
import torch

from naslora_core.config import MergeConfig
from naslora_core.merge.certificate import certify, seconds_per_image
from naslora_core.merge.choose import choose
from naslora_core.merge.context import MergeContext
from naslora_core.merge.fold import fold
from naslora_core.sam.build import build_sam


@pytest.fixture
def make_context(prepared):
    def make(mode="auto", drop=0.01):
        return MergeContext(prepared, MergeConfig(mode=mode, max_metric_drop=drop, calibration_images=2, ridge=0.001))

    return make


def test_a_certificate_says_what_was_measured(adapted_sam, prepared, make_context):
    sam, _ = adapted_sam
    choice = choose(sam, prepared, make_context("fold"))
    certificate = certify(choice, build_sam("sam_tiny"), sam, prepared, max_metric_drop=0.01)
    assert certificate.passed
    assert certificate.reason.startswith("merge.mode asks for fold")
    assert [attempt.mode for attempt in certificate.attempts] == ["fold"]
    assert [layer["merge"] for layer in certificate.notes()["layers"]] == ["fold"] * 8
    assert 0 <= certificate.max_logit_difference < 1e-4
    assert certificate.mask_agreement > 0.999
    sizes = certificate.parameters
    assert sizes["base"] < sizes["merged"] < sizes["adapted"]
    took = seconds_per_image(choice, build_sam("sam_tiny"), sam, prepared)
    assert set(took) == set(sizes)
    assert all(seconds > 0 for seconds in took.values())


def test_a_certificate_sees_a_difference(adapted_sam, prepared, make_context):
    sam, _ = adapted_sam
    choice = choose(sam, prepared, make_context("fold", drop=1))
    inverted = fold(sam)
    last = inverted.sam.mask_decoder.output_hypernetworks_mlps[0].layers[-1]
    with torch.no_grad():
        last.weight.neg_()
        last.bias.neg_()
    certificate = certify(
        dataclasses.replace(choice, merged=inverted), build_sam("sam_tiny"), sam, prepared, max_metric_drop=1
    )
    # Where every logit changes its sign, the largest difference is twice the largest logit.
    assert certificate.relative_logit_difference == pytest.approx(2, rel=1e-3)
    assert certificate.mask_agreement < 0.001
