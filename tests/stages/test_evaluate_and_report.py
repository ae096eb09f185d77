"""The stages evaluate and report on a small dataset, with predictors that need no model."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from naslora_core.config import Params, load_params
from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.errors import NasLoraError
from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.set_metrics import SET_METRICS
from naslora_core.files import write_json
from naslora_core.progress import Progress, silent
from naslora_core.report.sources import Folders
from naslora_core.sam.inference import Inference
from stages import evaluate, report
from stages.paths import StagePaths

CARD = """\
name: discs
title: Discs
classes: [disc]
mask_threshold: 128
split: {kind: listed, seed: 1, train: 0.5, validation: 0.25, test: 0.25}
licence: CC0
citation: none
source: made up
"""


@pytest.fixture
def params() -> Params:
    return load_params(Path(__file__).parents[2] / "params.yaml", ["domains=[discs]", "evaluate.gallery_size=3"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StagePaths:
    """A dataset with five test images, and folders where the stages before would have written."""
    rng = np.random.default_rng(0)
    data = tmp_path / "data" / "discs"
    for folder in (data / "images", data / "masks"):
        folder.mkdir(parents=True)
    for index in range(8):
        mask = np.zeros((36, 50), dtype=np.uint8)
        mask[8 : 18 + index, 10:30] = 255
        image = rng.integers(0, 90, (36, 50, 3)) + mask[..., None] // 2
        Image.fromarray(image.astype(np.uint8)).save(data / "images" / f"d{index}.jpg", quality=95)
        Image.fromarray(mask).save(data / "masks" / f"d{index}.png")
    (data / "dataset.yaml").write_text(CARD, encoding="utf-8")
    splits = ["train", "train", "validation", *["test"] * 5]
    lines = ["name,split", *(f"d{index},{split}" for index, split in enumerate(splits))]
    (data / "splits.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    paths = StagePaths(tmp_path)
    paths.output("search_train", "discs").mkdir(parents=True)
    about = {"format": 2, "model": "sam_tiny", "mode": "fold", "classes": 1, "image_size": 256, "origin": {}}
    write_json(paths.output("merge", "discs") / "model.json", about)

    def bright(images: list[np.ndarray]) -> list[np.ndarray]:
        return [np.float32(image.mean(axis=2) > 105) for image in images]

    def nothing(images: list[np.ndarray]) -> list[np.ndarray]:
        return [np.zeros(image.shape[:2], dtype=np.float32) for image in images]

    class Bright:
        """A merged model of parts; each flip that is averaged makes it surer of foreground."""

        window = 256

        def __init__(self, inference: Inference) -> None:
            self.inference = inference

        def using(self, inference: Inference) -> "Bright":
            return Bright(inference)

        def with_flips(self, images: list[np.ndarray], flips: list[Any]) -> Iterator[list[np.ndarray]]:
            return (Bright(replace(self.inference, flips=name))(images) for name in flips)

        def __call__(self, images: list[np.ndarray]) -> list[np.ndarray]:
            shift = {"none": 0.0, "horizontal": 0.1, "all": 0.2}[self.inference.flips]
            return [np.minimum(0.8 * marked + shift, 1) for marked in bright(images)]

    def cold(segmenter: Any, pairs: list[Pair], card: DatasetCard, progress: Progress) -> dict:
        return {pair.name: np.zeros((6, 8), dtype=np.float32) for pair in pairs}

    monkeypatch.setattr(evaluate, "explain", cold)
    for predict in (bright, nothing):
        predict.segmenter = None  # type: ignore[attr-defined]
    # Predictors that need no model have no base that an adapter could be of.
    for name in ("read_adapter_config", "describe_base", "require_base"):
        monkeypatch.setattr(evaluate, name, lambda *_: None)
    monkeypatch.setattr(evaluate.Predictor, "base", lambda model, inference: nothing)
    monkeypatch.setattr(evaluate.Predictor, "adapted", lambda folder, model, inference: bright)
    monkeypatch.setattr(evaluate.Predictor, "merged", lambda folder, precision, inference: Bright(inference))
    return paths


def test_evaluate_scores_the_test_split_only_and_writes_numbers_for_dvc(project: StagePaths, params: Params):
    evaluate.main("discs", params, project, silent)
    folder = project.output("evaluate", "discs")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert list(metrics) == ["base", "adapted", "merged"]
    assert all(isinstance(value, float) for scores in metrics.values() for value in scores.values())
    assert metrics["base"]["dice"] == 0
    assert metrics["merged"]["dice"] == metrics["adapted"]["dice"] > 0.9
    per_image = pd.read_csv(folder / "per_image.csv")
    traits = ["object_share", "object_size", "contrast", "contrast_level"]
    assert list(per_image.columns) == ["name", "model", *METRICS, *traits]
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "per_image.parquet"), per_image, atol=1e-6)
    assert sorted(per_image["name"].unique()) == [f"d{index}" for index in range(3, 8)]
    merged = per_image[per_image["model"] == "merged"]["dice"]
    assert merged.mean() == pytest.approx(metrics["merged"]["dice"], abs=1e-6)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["dataset"]["title"] == "Discs"
    assert (summary["images"], summary["seed"]) == (5, params.seed)
    assert len(list((folder / "gallery").glob("*.png"))) == 3


def test_evaluate_writes_what_thresholds_bins_and_kinds_of_images_say(project: StagePaths, params: Params):
    evaluate.main("discs", params, project, silent)
    folder = project.output("evaluate", "discs")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    sweep = pd.read_csv(folder / "thresholds.csv")
    at_half = sweep[np.isclose(sweep["threshold"], params.evaluate.threshold)].set_index("model")
    for model, scores in metrics.items():
        assert at_half.loc[model, "dice"] == pytest.approx(scores["dice"], abs=2e-6)
        assert at_half.loc[model, "recall"] == pytest.approx(scores["recall"], abs=2e-6)
    calibration = pd.read_csv(folder / "calibration.csv")
    assert (calibration.groupby("model")["pixels"].sum() == 5 * 36 * 50).all()
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["set_metric_titles"]) == set(SET_METRICS)
    for model, scores in summary["set_metrics"].items():
        assert scores.items() <= metrics[model].items()
    for levels in summary["breakdowns"].values():
        assert sum(level["images"] for level in levels.values()) == 5
        assert all({"dice", "iou"} <= set(level["models"]["merged"]) for level in levels.values())


def test_evaluate_gives_the_same_bytes_again(project: StagePaths, params: Params):
    folder = project.output("evaluate", "discs")
    written = []
    for _ in range(2):
        evaluate.main("discs", params, project, silent)
        written.append({path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert written[0] == written[1]


def test_choices_at_test_time_are_measured_on_validation_images_and_times_kept_apart(
    project: StagePaths, params: Params
):
    evaluate.main("discs", params, project, silent)
    found = json.loads((project.output("evaluate", "discs") / "test_time.json").read_text(encoding="utf-8"))
    assert (found["images"], found["middle_px"]) == (1, 1024)
    titles = [f"{row['setting']} {row['value']}" for row in found["options"]]
    assert titles == [
        *("flips none", "flips horizontal", "flips all"),
        *("overlap 0", "overlap 0.0625", "overlap 0.25"),
        "threshold 0.5",
    ]
    assert [title for title, row in zip(titles, found["options"], strict=True) if row["in_use"]] == [
        "flips none",
        "overlap 0.0625",
        "threshold 0.5",
    ]
    times = json.loads(project.timing("evaluate", "discs").read_text(encoding="utf-8"))["test_time_cpu_seconds"]
    assert list(times) == titles[:-1]


def test_the_models_own_threshold_is_used_if_it_is_asked_for(project: StagePaths, params: Params):
    notes = project.output("merge", "discs") / "model.json"
    write_json(notes, json.loads(notes.read_text(encoding="utf-8")) | {"threshold": 0.9})
    scores = {}
    for threshold in (0.5, 0.9, "auto"):
        settings = params.evaluate.model_copy(update={"threshold": threshold})
        evaluate.main("discs", params.model_copy(update={"evaluate": settings}), project, silent)
        folder = project.output("evaluate", "discs")
        scores[threshold] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["merged"]["dice"]
        options = json.loads((folder / "test_time.json").read_text(encoding="utf-8"))["options"]
        assert [row["value"] for row in options if row["setting"] == "threshold"] == ["0.5", "0.9"]
    # It says 0.8 of what is bright.
    assert scores["auto"] == scores[0.9] == 0 < scores[0.5]


def test_a_failed_evaluation_leaves_the_last_one_untouched(
    project: StagePaths, params: Params, monkeypatch: pytest.MonkeyPatch
):
    evaluate.main("discs", params, project, silent)
    before = (project.output("evaluate", "discs") / "metrics.json").read_bytes()
    broken = project.data("discs") / "images" / "d4.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(NasLoraError, match=r"d4\.jpg"):
        evaluate.main("discs", params, project, silent)
    assert (project.output("evaluate", "discs") / "metrics.json").read_bytes() == before


def test_report_reads_what_evaluate_wrote(
    project: StagePaths, params: Params, write_stages: Callable[[Path, str, str], Folders]
):
    write_stages(project.root / "artifacts", "discs", "nas_lora")
    evaluate.main("discs", params, project, silent)
    report.main("", params, project, silent)
    text = (project.output("report") / "index.html").read_text(encoding="utf-8")
    assert "5 test images" in text
    assert "the base model marks nothing; Dice 0.000" in text
    shown = text[text.index("What test time can still gain") :]
    assert "on 1 validation image (of larger ones the middle 1024 pixels)" in shown
    assert shown.index("no flips") < shown.index("mean with all three flips") < shown.index("overlap 0.25")


def test_report_says_which_domain_has_no_results(project: StagePaths, params: Params):
    with pytest.raises(NasLoraError, match="discs"):
        report.main("", params, project, silent)
    assert not project.output("report").exists()


def test_the_report_does_not_load_the_model_library():
    heavy = "{'torch', 'great_expectations', 'py_sod_metrics'}"
    program = f"import sys, stages.report; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
