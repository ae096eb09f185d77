import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.pictures.heat import choose_by_score, heat_panel, heat_panels, scale_of, share_inside, write_heat


def test_the_share_of_heat_inside_is_that_of_its_cells():
    heat = np.array([[1.0, 3.0], [0.0, 0.0]])
    truth = np.zeros((2, 2), dtype=bool)
    truth[0, 1] = True
    assert share_inside(heat, truth) == 0.75
    assert share_inside(np.zeros((2, 2)), truth) == 0


def test_heat_that_is_even_lies_inside_as_much_as_the_truth_covers():
    truth = np.zeros((40, 60), dtype=bool)
    truth[:10] = True
    assert share_inside(np.ones((4, 6)), truth) == pytest.approx(0.25)


def test_all_models_share_the_scale_of_the_hottest():
    heats = {"base": {"a": np.array([[0.5]])}, "adapted": {"a": np.array([[2.0]])}}
    assert scale_of(heats, "a") == 2
    assert scale_of({"base": {"a": np.zeros((1, 1))}}, "a") == 1


def test_the_hottest_place_is_the_brightest():
    grey = np.full((80, 120, 3), 90, dtype=np.uint8)
    heat = np.zeros((8, 12), dtype=np.float32)
    heat[2, 9] = 4
    drawn = np.asarray(heat_panel(grey, heat, 4)).sum(axis=2)
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert (row // 10, column // 10) == (2, 9)
    half = np.asarray(heat_panel(grey, heat, 8)).sum(axis=2)
    assert half.max() < drawn.max()


def test_the_panels_are_the_truth_and_every_model(pairs: list[Pair], card: DatasetCard, tmp_path: Path):
    heats = {"base": {pairs[0].name: np.ones((3, 4))}, "adapted": {pairs[0].name: np.zeros((3, 4))}}
    assert list(heat_panels(pairs[0], card, heats)) == ["truth", "base", "adapted"]
    write_heat(tmp_path, pairs[:1], card, heats)
    (entry,) = json.loads((tmp_path / "heat.json").read_text(encoding="utf-8"))
    assert entry["inside"] == {"base": pytest.approx(entry["truth_share"], abs=1e-5), "adapted": 0}
    for file in entry["panels"].values():
        assert Image.open(tmp_path / file).size == (40, 40)


def test_few_images_are_all_chosen_worst_first(pairs: list[Pair]):
    scores = pd.Series({pair.name: 1 - place / 10 for place, pair in enumerate(pairs[:5])})
    assert [pair.name for pair in choose_by_score(pairs, scores)] == ["004", "003", "002", "001", "000"]
