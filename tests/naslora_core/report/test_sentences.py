from typing import Any

import pytest

from naslora_core.quality.verdict import Failure, Verdict
from naslora_core.report.headline import HeadlineRow, Interval
from naslora_core.report.sentences import (
    certificate_sentences,
    duration,
    floor_percent,
    gain_sentence,
    opening,
    scientific,
    signed,
    verdict_sentence,
)


def summary(low: float, mean: float, high: float, images: int = 12) -> dict[str, Any]:
    return {"images": images, "gain": {"merged": {"dice": {"low": low, "mean": mean, "high": high}}}}


def row(domain: str, model: str, dice: float) -> HeadlineRow:
    return HeadlineRow(domain, model, 12, {"dice": Interval(dice, dice, dice)})


@pytest.mark.parametrize(
    ("interval", "words"),
    [((0.1, 0.2, 0.3), "is better"), ((-0.3, -0.2, -0.1), "is worse"), ((-0.1, 0.1, 0.3), "cannot tell")],
)
def test_the_gain_is_judged_by_its_interval(interval: tuple[float, float, float], words: str):
    assert words in gain_sentence(summary(*interval))


def test_the_gain_carries_signs_and_the_number_of_images():
    sentence = gain_sentence(summary(-0.05, 0.1, 0.25, images=1))
    assert "1 unseen image the merged model" in sentence
    assert "+0.100 Dice (95 % interval −0.050 to +0.250, paired)" in sentence


def test_the_opening_weighs_every_domain_alike():
    rows = [row("a", "base", 0.2), row("a", "merged", 0.8), row("b", "base", 0.4), row("b", "merged", 0.6)]
    assert "on 2 domains goes from 0.300" in opening(rows)
    assert "to 0.700 for the adapted and merged model" in opening(rows)
    assert "on the test images goes from 0.200" in opening(rows[:2])


def certificate(**changes: Any) -> dict[str, Any]:
    return {
        "mode": "fold",
        "reason": "merge.mode asks for fold; validation Dice is 0.8100 before it and 0.8095 after it.",
        "images": 17,
        "passed": True,
        "mask_agreement": 1.0,
        "max_logit_difference": 2.345e-5,
        "relative_logit_difference": 4e-7,
        "validation_dice_before": 0.81,
        "validation_dice_after": 0.8095,
    } | changes


def test_the_certificate_gives_the_measured_differences():
    text = " ".join(certificate_sentences(certificate()))
    assert "(fold) passed its check: merge.mode asks for fold; validation Dice is 0.8100 before it" in text
    assert "every pixel of 17 validation images" in text
    assert "2.3 × 10⁻⁵" in text
    assert "a difference of −0.0005" in text


def test_the_certificate_says_how_many_layers_were_merged_in_which_way():
    entries = [(0, "qkv", "exact"), (1, "qkv", "calibrated"), (3, "qkv", "fold"), (3, "proj", "exact")]
    layers = [
        {"layer": f"image_encoder.blocks.{block}.attn.{name}", "merge": merge, "reason": "a test"}
        for block, name, merge in entries
    ]
    text = " ".join(certificate_sentences(certificate(mode="mixed", layers=layers)))
    assert "By layer: 2 exact, 1 calibrated, 1 folded (block 3 attn.qkv)." in text
    alike = " ".join(certificate_sentences(certificate(layers=layers[2:3])))
    assert "By layer: 1 folded." in alike
    assert "By layer" not in " ".join(certificate_sentences(certificate()))


def test_an_agreement_below_all_pixels_is_never_rounded_up_to_all():
    text = " ".join(certificate_sentences(certificate(mask_agreement=0.99999999, passed=False)))
    assert "99.9999 %" in text
    assert "did not pass" in text
    assert floor_percent(0.5) == "50 %"
    assert floor_percent(0.12345) == "12.345 %"


def test_the_verdict_counts_warnings():
    verdict = Verdict(
        dataset="leaf",
        passed=True,
        pairs=80,
        pairs_per_split={"train": 56, "validation": 12, "test": 12},
        expectations_expected=14,
        expectations_run=14,
        failures=(),
    )
    assert verdict_sentence(verdict) == (
        "The gate accepted 80 image and mask pairs (56 train, 12 validation, 12 test): "
        "14 of 14 expectations checked, no warning."
    )
    blemish = Failure(expectation="x", description="x", severity="warning", count=1, files=())
    assert "1 warning." in verdict_sentence(verdict.model_copy(update={"failures": (blemish,)}))


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "+0.123"), (-0.1234, "−0.123"), (0.0, "0.000"), (-0.0001, "0.000")]
)
def test_differences_carry_their_sign(value: float, text: str):
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.012, "0.012"), (4.1e-7, "4.1 × 10⁻⁷"), (25.0, "25"), (1.5e4, "1.5 × 10⁴")],
)
def test_small_numbers_are_written_with_powers_of_ten(value: float, text: str):
    assert scientific(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(42.4, "42 seconds"), (150, "2 minutes"), (9000, "2.5 hours")])
def test_durations_choose_their_unit(seconds: float, text: str):
    assert duration(seconds) == text
