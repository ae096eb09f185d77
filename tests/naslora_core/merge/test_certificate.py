import dataclasses

import pytest
import torch

from naslora_core.config import MergeConfig
from naslora_core.errors import MergeError
from naslora_core.merge import choose as choosing
from naslora_core.merge.certificate import certify, seconds_per_image
from naslora_core.merge.choose import MERGES, MergeContext, choose
from naslora_core.merge.fold import fold
from naslora_core.merge.layers import Merged
from naslora_core.sam.build import build_sam


@pytest.fixture
def make_context(prepared):
    def make(mode="auto", drop=0.01):
        return MergeContext(prepared, MergeConfig(mode=mode, max_metric_drop=drop, calibration_images=2, ridge=0.001))

    return make


@pytest.fixture
def scripted(monkeypatch):
    """Return a function that makes each merge end at a given Dice; None is impossible. The adapted model has 0.8."""

    def script(**outcomes):
        models = {mode: build_sam("sam_tiny") for mode in outcomes}
        measured = []

        def refuse(*_):
            raise MergeError("it does not fit")

        def dice(segmenter, *_):
            mode = next((mode for mode, model in models.items() if model is segmenter.sam), "adapted")
            measured.append(mode)
            return outcomes.get(mode, 0.8)

        for mode, outcome in outcomes.items():
            merge = refuse if outcome is None else lambda *_, mode=mode: Merged(models[mode])
            monkeypatch.setitem(MERGES, mode, merge)
        monkeypatch.setattr(choosing, "mean_dice", dice)
        return measured

    return script


@pytest.mark.parametrize(
    ("outcomes", "chosen", "words"),
    [
        ({"exact": 0.8, "calibrated": 0.8, "fold": 0.8}, "exact", "at most 0.01; validation Dice is 0.8000"),
        ({"exact": None, "calibrated": 0.795, "fold": 0.8}, "calibrated", "(exact is impossible); validation"),
        ({"exact": None, "calibrated": 0.75, "fold": 0.8}, "fold", "calibrated would lose 0.0500"),
    ],
)
def test_auto_takes_the_first_merge_that_keeps_the_dice(scripted, prepared, make_context, outcomes, chosen, words):
    measured = scripted(**outcomes)
    choice = choose(build_sam("sam_tiny"), prepared, make_context())
    assert choice.mode == chosen
    assert [attempt.mode for attempt in choice.attempts] == list(MERGES)[: list(MERGES).index(chosen) + 1]
    assert [attempt.passed for attempt in choice.attempts][-1:] == [True]
    assert words in choice.reason
    assert measured.count("adapted") == 1


def test_auto_refuses_when_no_merge_keeps_the_dice(scripted, prepared, make_context):
    scripted(exact=None, calibrated=0.7, fold=0.75)
    wanted = r"exact is impossible, calibrated would lose 0.1000, fold would lose 0.0500\. Allow a larger drop"
    with pytest.raises(MergeError, match=wanted):
        choose(build_sam("sam_tiny"), prepared, make_context())


def test_a_named_merge_that_loses_too_much_is_refused(scripted, prepared, make_context):
    scripted(exact=0.8, calibrated=0.8, fold=0.75)
    with pytest.raises(MergeError, match=r"merge.mode fold lowers validation Dice from 0.8000 to 0.7500"):
        choose(build_sam("sam_tiny"), prepared, make_context("fold"))


def test_a_named_merge_that_is_impossible_says_why(scripted, prepared, make_context):
    scripted(exact=None, calibrated=0.8, fold=0.8)
    with pytest.raises(MergeError, match="it does not fit"):
        choose(build_sam("sam_tiny"), prepared, make_context("exact"))


def test_a_certificate_says_what_was_measured(adapted_sam, prepared, make_context):
    sam, _ = adapted_sam
    choice = choose(sam, prepared, make_context("fold"))
    certificate = certify(choice, build_sam("sam_tiny"), sam, prepared, max_metric_drop=0.01)
    assert certificate.passed
    assert certificate.reason.startswith("merge.mode asks for fold")
    assert [attempt.mode for attempt in certificate.attempts] == ["fold"]
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
