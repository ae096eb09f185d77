"""Several classes: which one a pixel is, how they are scored, and how they are shown."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from naslora_core.config import load_params
from naslora_core.data.dataset.card import DatasetCard, SplitRule
from naslora_core.data.dataset.dataset import Pair
from naslora_core.errors import CheckpointError
from naslora_core.evaluation.breakdown import breakdowns
from naslora_core.evaluation.evaluate import Evaluation, evaluate_model, evaluate_models
from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.scores import score
from naslora_core.evaluation.segmented import Comparison, SegmentedImage, decide
from naslora_core.evaluation.summary import means, summarise, summarise_classes, summarise_set
from naslora_core.evaluation.tables import write_tables
from naslora_core.evaluation.traits import describe_images
from naslora_core.files import write_json
from naslora_core.pictures.gallery import write_gallery
from naslora_core.pictures.overlays import ANY_CLASS_COLOUR, CLASS_COLOURS, GAP_PX, class_colour, css
from naslora_core.report.page import write_report
from naslora_core.report.sources import read_results

CLASSES = ("stem", "leaf", "fruit")
TRUTH = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=np.uint8)


def certain(ids: np.ndarray) -> np.ndarray:
    """Return (3, H, W) probabilities that leave no doubt about `ids`."""
    return np.stack([ids == number for number in (1, 2, 3)]).astype(np.float32)


def scores_of(probability: np.ndarray, truth: np.ndarray = TRUTH) -> dict[str, float]:
    return score(SegmentedImage(probability, decide(probability, 0.5), truth, 3), CLASSES)


def test_the_most_probable_of_background_and_classes_wins_whatever_the_threshold():
    probability = np.array([[0.4, 0.3, 0.1], [0.35, 0.3, 0.6]])[:, None, :]
    # The background has 0.25, 0.4 and 0.3.
    for threshold in (0.0, 0.5, 1.0):
        assert decide(probability, threshold).tolist() == [[1, 0, 2]]


def test_one_class_is_decided_by_the_threshold():
    assert decide(np.array([[0.2, 0.5, 0.6]]), 0.5).tolist() == [[0, 0, 1]]


def test_a_score_is_the_mean_over_the_classes_in_truth_or_prediction():
    guess = TRUTH.copy()
    guess[1, :2] = 0
    guess[3, 3] = 3
    scores = scores_of(certain(guess))
    # Of the stem 2 of 4 pixels are found, of the leaf all; the fruit is a false alarm.
    by_class = {"stem": 2 * 2 / (2 + 4), "leaf": 1.0, "fruit": 0.0}
    assert {name: scores[f"dice_{name}"] for name in CLASSES} == pytest.approx(by_class)
    assert scores["dice"] == pytest.approx(np.mean(list(by_class.values())))
    assert scores["iou"] == pytest.approx((2 / 4 + 1 + 0) / 3)


def test_a_class_absent_from_truth_and_prediction_does_not_count():
    scores = scores_of(certain(TRUTH))
    assert scores["dice"] == scores["iou"] == 1
    assert np.isnan(scores["dice_fruit"])
    assert np.isnan(scores["iou_fruit"])


def test_every_metric_of_a_class_is_that_of_the_class_against_the_rest():
    rng = np.random.default_rng(3)
    probability = rng.dirichlet(np.ones(4), size=TRUTH.shape).transpose(2, 0, 1)[1:]
    predicted = decide(probability, 0.5)
    scores = scores_of(probability)
    assert {1, 2, 3} <= set(np.unique(predicted))
    for name in METRICS:
        alone = [
            METRICS[name].measure(Comparison(probability[k], predicted == k + 1, np.equal(TRUTH, k + 1)))
            for k in range(3)
        ]
        assert scores[name] == pytest.approx(np.mean(alone))


def test_an_image_without_any_class_scores_as_two_empty_masks_do():
    nothing = np.zeros_like(TRUTH)
    scores = scores_of(certain(nothing), nothing)
    assert (scores["dice"], scores["mae"]) == (1, 0)
    assert np.isnan(scores["dice_stem"])


def test_a_model_without_classes_is_judged_as_if_it_meant_each_class_of_the_truth():
    foreground = (TRUTH > 0).astype(np.float32)
    scores = scores_of(foreground)
    assert scores["dice_stem"] == scores["dice_leaf"] == scores["dice"] == pytest.approx(2 * 4 / (8 + 4))
    assert np.isnan(scores["dice_fruit"])
    assert scores_of(foreground, np.zeros_like(TRUTH))["dice"] == 0


def test_one_class_has_no_columns_by_class():
    stem = (TRUTH == 1).astype(np.uint8)
    assert list(score(SegmentedImage(certain(TRUTH)[0], stem, stem, 1), ("stem",))) == list(METRICS)


@pytest.fixture
def plants(tmp_path: Path) -> tuple[DatasetCard, list[Pair], dict[str, np.ndarray]]:
    """Three images whose grey level is 60 times the class id, with masks in colours; the last has no fruit."""
    colours = {"stem": "#ff0000", "leaf": "#00ff00", "fruit": "#0000ff"}
    card = DatasetCard(
        name="plants", title="Plants", classes=CLASSES, mask_values={name: (value,) for name, value in colours.items()},
        split=SplitRule(kind="listed", seed=1, train=0.5, validation=0.25, test=0.25), licence="CC0",
        citation="none", source="drawn",
    )  # fmt: skip
    palette = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)], dtype=np.uint8)
    pairs, truths = [], {}
    for index in range(3):
        ids = np.zeros((40, 50 + index), dtype=np.uint8)
        ids[4:20, 4:20], ids[22:38, 5:25] = 1, 2
        if index < 2:
            ids[5:30, 30:45] = 3
        files = tmp_path / f"p{index}.png", tmp_path / f"p{index}_mask.png"
        Image.fromarray(np.repeat(ids[..., None] * 60, 3, axis=2)).save(files[0])
        Image.fromarray(palette[ids]).save(files[1])
        pairs.append(Pair(f"p{index}", *files, "test"))
        truths[f"p{index}"] = ids
    return card, pairs, truths


def seer(images: list[np.ndarray]) -> list[np.ndarray]:
    """Tell classes by their grey level."""
    return [certain(image[..., 0] // 60) for image in images]


def blind(images: list[np.ndarray]) -> list[np.ndarray]:
    """Tell foreground only, and not all of it."""
    return [(image[..., 0] > 100).astype(np.float32) for image in images]


@pytest.fixture
def judged(plants) -> dict[str, Evaluation]:
    card, pairs, _ = plants
    return evaluate_models({"base": lambda: blind, "adapted": lambda: seer, "merged": lambda: seer}, pairs, card, 0.5)


def test_masks_in_colours_are_scored_by_class(plants, judged):
    table = judged["merged"].table
    by_class = [f"{metric}_{name}" for metric in ("dice", "iou") for name in CLASSES]
    assert list(table.columns) == ["name", *METRICS, *by_class]
    assert (table["dice"] == 1).all()
    assert table["dice_fruit"].isna().tolist() == [False, False, True]
    for name, truth in plants[2].items():
        np.testing.assert_array_equal(judged["merged"].mask(name, truth.shape), truth)


def test_the_summary_has_the_mean_of_each_class_over_the_images_it_counts_for(judged):
    tables = {model: one.table for model, one in judged.items()}
    summary = summarise_classes(tables, CLASSES)
    assert summary["mean_by_class"]["merged"] == {"dice": dict.fromkeys(CLASSES, 1), "iou": dict.fromkeys(CLASSES, 1)}
    # The base marks leaf and fruit, 320 and 375 pixels, and no stem.
    expected = {"stem": 0, "leaf": (2 * 2 * 320 / (695 + 320) + 1) / 3, "fruit": 2 * 375 / (695 + 375)}
    assert summary["mean_by_class"]["base"]["dice"] == pytest.approx(expected, abs=1e-6)
    assert "mean over the classes" in summary["averaged"]
    never = {"base": tables["base"].assign(dice_fruit=np.nan)}
    assert summarise_classes(never, CLASSES)["mean_by_class"]["base"]["dice"]["fruit"] is None
    assert summarise_classes({"base": pd.DataFrame({"dice": [1.0]})}, ("disc",)) == {}


def test_the_gallery_gives_every_class_a_colour_and_says_which(plants, judged, tmp_path: Path):
    card, pairs, truths = plants
    write_gallery(tmp_path / "out", pairs, card, judged, size=3)
    entries = json.loads((tmp_path / "out" / "gallery.json").read_text(encoding="utf-8"))
    colours = {name: css(colour) for name, colour in zip(CLASSES, CLASS_COLOURS, strict=False)}
    assert entries[0]["legend"] == colours | {"base: any class": css(ANY_CLASS_COLOUR)}
    first = next(entry for entry in entries if entry["name"] == "p0")
    assert first["truth_share"] == pytest.approx((truths["p0"] > 0).mean(), abs=1e-6)
    with Image.open(tmp_path / "out" / first["strip"]) as strip:
        pixels = np.asarray(strip.convert("RGB")).astype(int)
    width = (pixels.shape[1] - 4 * GAP_PX) // 5
    truth, base, merged = (pixels[:, place * (width + GAP_PX) :][:, :width] for place in (1, 2, 3))
    for picture in (truth, merged):
        assert np.abs(picture[4, 12] - class_colour(1)).max() < 70
        assert np.abs(picture[5, 37] - class_colour(3)).max() < 70
    assert np.abs(base[5, 37] - ANY_CLASS_COLOUR).max() < 70


def test_a_prediction_of_other_classes_is_an_error(plants):
    card, pairs, _ = plants
    with pytest.raises(CheckpointError, match=r"expected the image's \(40, 50\) or, by class, \(3, 40, 50\)"):
        evaluate_model(lambda images: [np.zeros((2, *image.shape[:2])) for image in images], pairs, card, 0.5)


def test_class_colours_differ_from_each_other_and_come_again_after_the_last():
    assert len(set(CLASS_COLOURS)) == len(CLASS_COLOURS) == 7
    assert class_colour(8) == class_colour(1)


def test_the_report_shows_classes_in_a_table_and_their_colours_in_the_legend(
    plants, judged, write_stages: Callable, tmp_path: Path
):
    card, pairs, _ = plants
    folders = write_stages(tmp_path / "artifacts", "plants", "lora")
    tables = {model: one.table for model, one in judged.items()}
    about = {"dataset": {"title": "Plants", "licence": "", "citation": "", "source": ""}}
    by_class = summarise_classes(tables, CLASSES)
    traits = describe_images(pairs, card)
    of_set = summarise_set({model: one.whole.scores() for model, one in judged.items()})
    summary = about | summarise(tables, 1) | by_class | of_set | {"breakdowns": breakdowns(tables, traits, 1)}
    write_json(folders.evaluate / "summary.json", summary)
    write_json(folders.evaluate / "metrics.json", means(tables))
    write_tables(folders.evaluate, judged, traits)
    write_gallery(folders.evaluate, pairs, card, judged, size=3)
    params = load_params(Path(__file__).parents[3] / "params.yaml")
    write_report(tmp_path / "report", [read_results("plants", folders)], params)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "<h3>By class</h3>" in page
    fruit = by_class["mean_by_class"]["base"]["dice"]["fruit"]
    assert f'<th scope="row">fruit</th><td class="number">{fruit:.3f}</td>' in page
    assert f'{css(class_colour(2))}">leaf</span>' in page
