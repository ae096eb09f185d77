"""What a bench table says of the merges of its trainings."""

import pytest

from naslora_core.bench.results import merge_words


@pytest.mark.parametrize(
    ("mode", "merges", "words"),
    [
        ("mixed", ["exact", "calibrated", "fold", "fold"], "mixed (2 of 4 layers folded)"),
        ("mixed", ["exact", "calibrated"], "mixed (0 of 2 layers folded)"),
        ("fold", ["exact", "fold"], "fold"),
    ],
)
def test_a_mixed_merge_is_named_with_what_costs_time(mode: str, merges: list[str], words: str):
    layers = [{"layer": f"blocks.{place}.attn.qkv", "merge": merge, "reason": ""} for place, merge in enumerate(merges)]
    assert merge_words({"mode": mode, "layers": layers}) == words


def test_a_certificate_of_an_earlier_version_is_named_by_its_mode():
    assert merge_words({"mode": "calibrated"}) == "calibrated"
