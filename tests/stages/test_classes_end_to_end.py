"""Three classes through every stage that touches pixels, on images drawn here and a base with random weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from naslora_core.config import load_params
from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.evaluation.metrics import METRICS
from naslora_core.predict import Predictor
from naslora_core.progress import silent
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import save_weights
from stages import evaluate, merge, preprocess, search_train, validate
from stages.paths import StagePaths

CLASSES = ("stem", "leaf", "fruit")
REPOSITORY = Path(__file__).parents[2]


def draw_domain(root: Path, count: int) -> None:
    """Draw plants: a stem on every image, a leaf on most and a fruit on every second; masks hold 50, 100 and 200."""
    card = DatasetCard(
        name=root.name, title="Plants", classes=CLASSES, mask_values={"stem": (50,), "leaf": (100,), "fruit": (200,)},
        split=SplitRule(kind="listed", seed=1, train=0.5, validation=0.25, test=0.25), licence="CC0",
        citation="none", source="drawn",
    )  # fmt: skip
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    write_card(root, card)
    lines = ["name,split"]
    for index in range(count):
        rng = np.random.default_rng(index)
        mask = np.zeros((72, 96), dtype=np.uint8)
        column = 40 + int(rng.integers(0, 12))
        mask[6:70, column : column + 8] = 50
        if index % 5:
            mask[20:44, column + 8 : column + 36] = 100
        if index % 2:
            mask[30:60, 6:36] = 200
        image = rng.integers(0, 60, (72, 96, 3)) + np.stack([mask == 200, mask > 0, mask == 50], axis=2) * 150
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"plant_{index:02}.png")
        Image.fromarray(mask).save(root / "masks" / f"plant_{index:02}.png")
        lines.append(f"plant_{index:02},{('train', 'train', 'validation', 'test')[index % 4]}")
    (root / "splits.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> StagePaths:
    """A project in which every stage has run once on the three classes."""
    root = tmp_path_factory.mktemp("plants")
    draw_domain(root / "data" / "plants", count=12)
    base = root / "models" / "sam_tiny.safetensors"
    torch.manual_seed(21)
    save_weights(base, build_sam("sam_tiny").state_dict(), {})
    shutil.copy(REPOSITORY / "params.yaml", root / "params.yaml")
    settings = ["domains=[plants]", f"model.checkpoint={base}", "model.image_size=64", "train.epochs=1"]
    settings += ["search.warmup_epochs=0", "search.arch_every=1", "adapter.rank=2", "merge.mode=fold"]
    params = load_params(root / "params.yaml", settings)
    for stage in (validate, preprocess, search_train, merge, evaluate):
        stage.main("plants", params, StagePaths(root), silent)
    return StagePaths(root)


def test_class_ids_reach_training_as_the_card_orders_them(finished):
    data = load_prepared(finished.output("preprocess", "plants"), "train")
    assert data.classes == CLASSES
    assert {int(value) for row in range(len(data)) for value in np.unique(data.masks[row])} == {0, 1, 2, 3}


def test_the_merged_model_tells_three_classes_apart_at_the_images_size(finished):
    image = np.asarray(Image.open(finished.data("plants") / "images" / "plant_03.png"))
    probability = Predictor.merged(finished.output("merge", "plants"))([image])[0]
    assert probability.shape == (3, 72, 96)
    assert probability.sum(axis=0).max() <= 1 + 1e-5


def test_scores_say_which_class_is_bad(finished):
    folder = finished.output("evaluate", "plants")
    table = pd.read_csv(folder / "per_image.csv")
    by_class = [f"{metric}_{name}" for metric in ("dice", "iou") for name in CLASSES]
    traits = ["object_share", "object_size", "contrast", "contrast_level"]
    assert list(table.columns) == ["name", "model", *METRICS, *by_class, *traits]
    merged = table[table["model"] == "merged"].set_index("name")
    assert len(merged) == 3
    np.testing.assert_allclose(merged["dice"], merged[[f"dice_{name}" for name in CLASSES]].mean(axis=1), atol=1e-5)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    for name in CLASSES:
        expected = merged[f"dice_{name}"].mean()
        assert summary["mean_by_class"]["merged"]["dice"][name] == pytest.approx(expected, abs=1e-5)
    legend = json.loads((folder / "gallery.json").read_text(encoding="utf-8"))[0]["legend"]
    assert list(legend) == [*CLASSES, "base: any class"]
