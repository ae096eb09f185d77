from random import Random

import numpy as np
import pandas as pd
import pytest

from naslora_core.bench.statistics import crossed_interval, describe, paired_difference, score_matrix
from naslora_core.evaluation.bootstrap import bootstrap_interval


def test_with_one_seed_the_interval_is_that_over_images():
    scores = np.random.default_rng(0).normal(0.6, 0.1, 80)
    assert crossed_interval(scores[None], 1) == pytest.approx(bootstrap_interval(scores, 1), abs=2e-3)


def test_seeds_that_differ_widen_the_interval_as_the_formula_of_the_variance_says():
    rng = np.random.default_rng(1)
    seeds, images = rng.normal(0, 0.1, (6, 1)), rng.normal(0.5, 0.2, (1, 200))
    low, high = crossed_interval(seeds + images, 3)
    # Without interaction the two sources add up.
    wanted = 2 * 1.96 * np.sqrt(seeds.var() / 6 + images.var() / 200)
    assert high - low == pytest.approx(wanted, rel=0.08)


def frame(values, seeds, names):
    return pd.DataFrame(
        [{"seed": s, "name": n, "dice": values[i][j]} for i, s in enumerate(seeds) for j, n in enumerate(names)]
    )


def test_differences_are_paired_by_seed_and_image():
    own = score_matrix(frame([[0.5, 0.7], [0.6, 0.8]], [7, 8], ["a", "b"]), "dice")
    other = score_matrix(frame([[0.9, 0.5, 0.4]], [8], ["c", "b", "a"]), "dice")
    difference = paired_difference(own, other, seed=0)
    assert difference["mean"] == pytest.approx(((0.6 - 0.4) + (0.8 - 0.5)) / 2)
    assert (difference["seeds"], difference["images"]) == (1, 2)
    assert paired_difference(own, other.rename(index={8: 9}), seed=0) is None


def percentile(values, share):
    """The value that a share of the others is below, between neighbours by distance."""
    values = sorted(values)
    place = share * (len(values) - 1)
    low = int(place)
    return values[low] + (place - low) * (values[min(low + 1, len(values) - 1)] - values[low])


def test_the_interval_of_a_difference_is_that_of_drawing_seeds_and_images_by_hand():
    rng = np.random.default_rng(5)
    seeds, names = [7, 8, 9], [f"image{index}" for index in range(25)]
    # Rows share what is hard about an image; seeds, images and both together vary by themselves.
    hard = rng.normal(0.6, 0.2, (1, 25))
    own = hard + rng.normal(0.04, 0.03, (3, 1)) + rng.normal(0, 0.05, (1, 25)) + rng.normal(0, 0.02, (3, 25))
    other = hard + rng.normal(0, 0.03, (3, 1)) + rng.normal(0, 0.02, (3, 25))
    tables = [score_matrix(frame(values, seeds, names), "dice") for values in (own, other)]
    found = paired_difference(*tables, seed=0)

    draw, means = Random(1), []
    for _ in range(8000):
        rows, columns = draw.choices(range(3), k=3), draw.choices(range(25), k=25)
        means.append(sum(own[row][column] - other[row][column] for row in rows for column in columns) / 75)
    assert found["mean"] == pytest.approx((own - other).mean())
    # So many draws leave an end uncertain by less than a hundredth of the width.
    width = percentile(means, 0.975) - percentile(means, 0.025)
    assert found["low"] == pytest.approx(percentile(means, 0.025), abs=0.04 * width)
    assert found["high"] == pytest.approx(percentile(means, 0.975), abs=0.04 * width)
    # Without pairing, the images would widen it.
    assert width < 0.7 * sum(table["high"] - table["low"] for table in (describe(t, 0) for t in tables)) / 2


def test_lines_of_one_image_are_averaged_and_images_of_some_seeds_left_out():
    table = pd.concat([frame([[0.2, 0.6]], [7], ["a", "b"]), frame([[0.4]], [7], ["a"]), frame([[0.5]], [8], ["a"])])
    scores = score_matrix(table, "dice")
    assert scores.to_dict() == {"a": {7: pytest.approx(0.3), 8: 0.5}}
    assert describe(scores, 0)["mean"] == pytest.approx(0.4)
