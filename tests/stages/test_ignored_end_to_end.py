"""Masks with borders that nobody labelled through every stage that touches pixels, of whole images and of crops."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from naslora_core.config import load_params
from naslora_core.data.dataset.card import IGNORED_ID, DatasetCard, SplitRule, write_card
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.errors import DataError
from naslora_core.evaluation.metrics import METRICS
from naslora_core.predict import Predictor
from naslora_core.progress import silent
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import save_weights
from stages import evaluate, merge, preprocess, search_train, validate
from stages.paths import StagePaths

REPOSITORY = Path(__file__).parents[2]
VALUES = {"leaf": (1,), "fruit": (2,)}


def draw_domain(root: Path) -> None:
    """Draw leaves and fruits as PASCAL VOC does: indices of a palette, 255 around objects; 254 at the image's edge."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    write_card(root, DatasetCard(name=root.name, title="Plants", classes=tuple(VALUES), mask_values=VALUES,
                                 mask_ignore=(254, 255), licence="CC0", citation="none", source="drawn",
                                 split=SplitRule(kind="listed", seed=1, train=0.5, validation=0.25,
                                                 test=0.25)))  # fmt: skip
    lines = ["name,split"]
    for index in range(12):
        rng = np.random.default_rng(index)
        mask = np.zeros((72, 96), dtype=np.uint8)
        left = 36 + int(rng.integers(0, 12))
        for number, (rows, columns) in enumerate(
            ((slice(16, 44), slice(left, left + 30)), (slice(40, 62), slice(8, 30)))
        ):
            mask[rows.start - 3 : rows.stop + 3, columns.start - 3 : columns.stop + 3] = 255
            mask[rows, columns] = number + 1
        mask[:2], mask[:, -3:] = 254, 254
        image = rng.integers(0, 60, (72, 96, 3)) + np.stack([mask == 1, mask > 0, mask == 2], axis=2) * 150
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"plant_{index:02}.png")
        paletted = Image.fromarray(mask)
        paletted.putpalette(rng.integers(0, 255, 768).astype(np.uint8).tobytes())
        paletted.save(root / "masks" / f"plant_{index:02}.png")
        lines.append(f"plant_{index:02},{('train', 'train', 'validation', 'test')[index % 4]}")
    (root / "splits.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module", params=["whole", "crops"])
def finished(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> StagePaths:
    """A project in which every stage has run once; crops are of 48 pixels and enlarged, masks refined by the image."""
    root = tmp_path_factory.mktemp("bordered")
    draw_domain(root / "data" / "bordered")
    base = root / "models" / "sam_tiny.safetensors"
    torch.manual_seed(21)
    save_weights(base, build_sam("sam_tiny").state_dict(), {})
    shutil.copy(REPOSITORY / "params.yaml", root / "params.yaml")
    settings = ["domains=[bordered]", f"model.checkpoint={base}", "model.image_size=64", "train.epochs=2"]
    settings += ["train.detail=off"]
    settings += [
        "train.detail=off",
        "search.warmup_epochs=0",
        "search.arch_every=1",
        "adapter.rank=2",
        "merge.mode=calibrated",
    ]
    if request.param == "crops":
        settings += ["train.view=crops", "train.scale=1.33", "train.detail=half", "merge.max_metric_drop=1"]
    params = load_params(root / "params.yaml", settings)
    for stage in (validate, preprocess, search_train, merge, evaluate):
        stage.main("bordered", params, StagePaths(root), silent)
    return StagePaths(root)


def truth(paths: StagePaths, name: str) -> np.ndarray:
    return np.asarray(Image.open(paths.data("bordered") / "masks" / f"{name}.png"))


def test_arrays_that_were_made_for_another_view_since_are_not_merged_with(finished):
    head = json.loads((finished.output("search_train", "bordered") / "adapter.json").read_text())
    other = ("whole", "crops") if "scale" in head else ("crops", "whole images")
    base = finished.root / "models" / "sam_tiny.safetensors"
    settings = [f"model.checkpoint={base}", "model.image_size=64", f"train.view={other[0]}"]
    params, trial = load_params(finished.params, settings), StagePaths(finished.root, "other_view")
    preprocess.main("bordered", params, trial, silent)
    with pytest.raises(DataError, match=f"was trained on {other[1]}, and .* stage search-train"):
        merge.main("bordered", params, trial, silent)


def test_ignored_pixels_reach_training_as_such(finished):
    data = load_prepared(finished.output("preprocess", "bordered"), "train")
    assert {int(value) for row in range(len(data)) for value in np.unique(data.masks[row])} == {0, 1, 2, IGNORED_ID}


def test_the_gate_passes_them_and_measures_what_is_labelled(finished):
    folder = finished.output("validate", "bordered")
    verdict = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert verdict["passed"] is True
    tables = [pd.read_parquet(path) for path in folder.glob("*.parquet")]
    row = tables[0].set_index("name").loc["plant_00"]
    ids = truth(finished, "plant_00")
    assert row["ignored_share"] == pytest.approx((ids > 2).mean())
    assert row["foreground_share"] == pytest.approx(np.isin(ids, (1, 2)).sum() / (ids <= 2).sum())
    assert row["components"] == 2


def test_training_learns_and_every_score_is_a_number(finished):
    history = pd.read_csv(finished.output("search_train", "bordered") / "history.csv")
    assert np.isfinite(history.filter(like="loss").dropna(axis=1, how="all").to_numpy()).all()
    table = pd.read_csv(finished.output("evaluate", "bordered") / "per_image.csv")
    assert len(table) == 3 * 3
    assert np.isfinite(table[list(METRICS)].to_numpy()).all()
    assert table["dice"].between(0, 1).all()
    for name, share in table.groupby("name")["object_share"].first().items():
        ids = truth(finished, name)
        assert share == pytest.approx(np.isin(ids, (1, 2)).sum() / (ids <= 2).sum(), abs=1e-5)
    calibration = pd.read_csv(finished.output("evaluate", "bordered") / "calibration.csv")
    labelled = sum(int((truth(finished, name) <= 2).sum()) for name in set(table["name"]))
    assert (calibration.groupby("model")["pixels"].sum() == labelled).all()


def test_pictures_say_what_is_not_labelled(finished):
    folder = finished.output("evaluate", "bordered")
    gallery = json.loads((folder / "gallery.json").read_text(encoding="utf-8"))
    assert list(gallery[0]["legend"]) == [*VALUES, "base: any class", "not labelled"]
    heat = json.loads((folder / "heat.json").read_text(encoding="utf-8"))
    assert all(0 <= share <= 1 for entry in heat for share in entry["inside"].values())


def test_the_model_keeps_the_view_it_was_trained_with(finished):
    manifest = json.loads((finished.output("preprocess", "bordered") / "manifest.json").read_text(encoding="utf-8"))
    is_crops = manifest["recipe"].get("view") == "crops"
    files = [("search_train", "adapter.json"), ("merge", "model.json")]
    for stage, name in files:
        notes = json.loads((finished.output(stage, "bordered") / name).read_text(encoding="utf-8"))
        assert notes["classes"] == 2
        assert (notes.get("detail"), notes.get("scale")) == (("half", 1.33) if is_crops else (None, None))
    segmenter = Predictor.merged(finished.output("merge", "bordered"))
    image = np.asarray(Image.open(next((finished.data("bordered") / "images").iterdir())))
    assert segmenter([image])[0].shape == (2, 72, 96)
