import math

import numpy as np
import pandas as pd
import pytest

from naslora_core.evaluation.bootstrap import bootstrap_interval
from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.set_metrics import SET_METRICS
from naslora_core.evaluation.summary import intervals, means, summarise, summarise_set


def table(dice: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"name": [str(i) for i in range(len(dice))]} | dict.fromkeys(METRICS, dice))


def test_the_bootstrap_interval_is_that_of_theory_for_many_normal_values():
    values = np.random.default_rng(4).normal(0.6, 0.1, 400)
    low, high = bootstrap_interval(values, seed=1)
    half_width = 1.96 * values.std(ddof=1) / math.sqrt(400)
    # The ends of 10,000 resamples scatter by about 2 % of the half width.
    assert low == pytest.approx(values.mean() - half_width, abs=0.1 * half_width)
    assert high == pytest.approx(values.mean() + half_width, abs=0.1 * half_width)


def test_the_interval_of_two_values_has_the_ends_that_counting_gives():
    # A resample of (0, 1) has mean 0 in a quarter of all cases and mean 1 in another quarter.
    assert bootstrap_interval(np.array([0.0, 1.0]), seed=0) == (0.0, 1.0)


def test_a_single_image_gives_an_interval_without_width():
    assert bootstrap_interval(np.array([0.4]), seed=0) == (0.4, 0.4)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).random(30)
    assert bootstrap_interval(values, 7) == bootstrap_interval(values, 7)
    assert bootstrap_interval(values, 7) != bootstrap_interval(values, 8)


def test_metrics_summarised_together_have_the_intervals_they_have_alone():
    rng = np.random.default_rng(6)
    scores = pd.DataFrame({name: rng.random(25) for name in METRICS})
    for name, interval in intervals(scores, seed=3).items():
        low, high = bootstrap_interval(scores[name].to_numpy(), seed=3)
        assert interval == pytest.approx({"mean": scores[name].mean(), "low": low, "high": high}, abs=1e-6)


def test_a_gain_is_paired_so_a_constant_difference_has_no_width():
    base = [0.1, 0.5, 0.3, 0.8]
    summary = summarise({"base": table(base), "merged": table([value + 0.125 for value in base])}, seed=2)
    assert summary["gain"]["merged"]["dice"] == {"mean": 0.125, "low": 0.125, "high": 0.125}
    assert summary["models"]["base"]["dice"]["low"] < summary["models"]["base"]["dice"]["high"]
    assert list(summary["gain"]) == ["merged"]
    assert summary["images"] == 4


def test_the_means_are_plain_numbers_by_model_and_metric():
    result = means({"base": table([0.25, 0.5])})
    assert result == {"base": dict.fromkeys(METRICS, 0.375)}


def test_the_summary_says_what_every_metric_is():
    described = summarise({"base": table([0.1])}, seed=0)["metrics"]
    assert set(described) == set(METRICS)
    assert all(len(entry["definition"]) > 20 for entry in described.values())
    assert described["mae"]["higher_is_better"] is False


def test_the_summary_of_the_set_says_what_each_number_is():
    summary = summarise_set({"base": dict.fromkeys(SET_METRICS, 1 / 3)})
    assert summary["set_metrics"] == {"base": dict.fromkeys(SET_METRICS, 0.333333)}
    assert summary["set_metric_titles"]["ber_set"]["higher_is_better"] is False
    assert {len(entry) for entry in summary["set_metric_titles"].values()} == {3}
