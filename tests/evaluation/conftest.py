"""Small datasets and results of stages, made up for the tests of evaluation and report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from naslora_core.data.card import DatasetCard, SplitRule
from naslora_core.data.dataset import Pair
from naslora_core.evaluation.evaluate import Evaluation, evaluate_models
from naslora_core.evaluation.gallery import write_gallery
from naslora_core.evaluation.report.sources import Folders
from naslora_core.evaluation.summary import means, summarise
from naslora_core.files import write_json

SPACE = ["none", "skip_connect", "avg_pool_3x3", "conv_1x1", "conv_3x3", "dil_conv_3x3"]
THRESHOLD = 0.5
RULE = SplitRule(kind="listed", seed=1, train=0.5, validation=0.25, test=0.25)


@pytest.fixture(scope="session")
def card() -> DatasetCard:
    """The card of one class whose masks hold 0 and 255."""
    return DatasetCard(
        name="discs", title="Discs", classes=("disc",), mask_threshold=128, split=RULE, licence="CC0", citation="none",
        source="made up",
    )  # fmt: skip


def disc(height: int, width: int, row: float, column: float, radius: float) -> np.ndarray:
    """Return a (height, width) uint8 mask of a disc."""
    rows, columns = np.mgrid[:height, :width]
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2).astype(np.uint8)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """Seven images of two sizes, a disc brighter than its noisy background on each; masks hold 0 and 255."""
    root = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(5)
    made = []
    for index in range(7):
        height, width = (48, 64) if index % 2 else (40, 40)
        mask = disc(height, width, 20, 15 + 2 * index, 7 + index)
        image = rng.integers(20, 90, (height, width, 3)) + 120 * mask[..., None]
        name = f"{index:03d}"
        files = root / "images" / f"{name}.png", root / "masks" / f"{name}.png"
        for file, pixels in zip(files, (image, mask * 255), strict=True):
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(file)
        made.append(Pair(name, *files, "test"))
    return made


def bright(images: list[np.ndarray]) -> list[np.ndarray]:
    """Predict what is bright: right on these images."""
    return [(image.mean(axis=2) > 115).astype(np.float32) for image in images]


def dim(images: list[np.ndarray]) -> list[np.ndarray]:
    """Predict the left half, whatever is there."""
    halves = []
    for image in images:
        half = np.full(image.shape[:2], 0.2, dtype=np.float32)
        half[:, : image.shape[1] // 2] = 0.8
        halves.append(half)
    return halves


@pytest.fixture(scope="session")
def evaluations(pairs: list[Pair], card: DatasetCard) -> dict[str, Evaluation]:
    """Scores of a poor base and a good adapted and merged model on `pairs`."""
    loaders = {"base": lambda: dim, "adapted": lambda: bright, "merged": lambda: bright}
    return evaluate_models(loaders, pairs, card, THRESHOLD)


@pytest.fixture(scope="session")
def write_stages(
    pairs: list[Pair], card: DatasetCard, evaluations: dict[str, Evaluation]
) -> Callable[[Path, str, str], Folders]:
    """Return a function (artifacts, domain, method) that writes what the stages before the report write."""

    def write(artifacts: Path, domain: str, method: str) -> Folders:
        made = (artifacts / stage / domain for stage in ("validate", "search_train", "merge", "evaluate"))
        folders = Folders(*made)
        _write_evaluation(folders.evaluate, pairs, card, evaluations)
        _write_training(folders.search_train, method)
        write_json(folders.validate / "verdict.json", _verdict(domain))
        write_json(folders.merge / "certificate.json", _certificate())
        return folders

    return write


def _write_evaluation(folder: Path, pairs: list[Pair], card: DatasetCard, evaluations: dict[str, Evaluation]) -> None:
    tables = {model: one.table for model, one in evaluations.items()}
    about = {"title": "Discs & <dots>", "licence": "CC0", "citation": "", "source": "made up"}
    write_json(folder / "metrics.json", means(tables))
    write_json(folder / "summary.json", {"dataset": about} | summarise(tables, seed=3))
    per_image = pd.concat([table.assign(model=model) for model, table in tables.items()])
    per_image.to_csv(folder / "per_image.csv", index=False)
    write_gallery(folder, pairs, card, evaluations, size=3)


def _write_training(folder: Path, method: str) -> None:
    epochs = np.arange(1, 7)
    history = pd.DataFrame({"epoch": epochs, "lr": 0.002, "seconds": 12.5})
    history["train_loss"] = 1.4 / epochs**0.5
    history["arch_loss"] = np.where(epochs > 2, 1.5 / epochs**0.4, np.nan)
    history["validation_dice"] = 0.8 - 0.5 / epochs
    folder.mkdir(parents=True, exist_ok=True)
    history.to_csv(folder / "history.csv", index=False)
    layers = searched_layers() if method == "nas_lora" else []
    write_json(folder / "genotype.json", {"space": SPACE if layers else [], "layers": layers})
    rows = [
        {
            "epoch": epoch,
            "layer": layer["layer"],
            "primitive": name,
            "weight": 1 / 6 + (weight - 1 / 6) * epoch / 6,
        }
        for epoch in epochs
        for layer in layers
        for name, weight in layer["weights"].items()
    ]
    training = {"best_epoch": 5, "trainable_parameters": 412345, "adapter_parameters": 98304}
    training["total_parameters"] = 4900000
    pd.DataFrame(rows, columns=["epoch", "layer", "primitive", "weight"]).to_csv(folder / "alphas.csv", index=False)
    write_json(folder / "adapter.json", {"method": method, "base": {"name": "sam_tiny", "sha256": "0a1b" * 16}})
    write_json(folder / "metrics.json", training)


def searched_layers() -> list[dict[str, object]]:
    """Return the layers of a genotype: four blocks, the last sees the whole image and leans elsewhere."""
    layers = []
    for block in range(4):
        best = "dil_conv_3x3" if block == 3 else "conv_3x3"
        weights = {name: 0.3 if name == best else 0.14 for name in SPACE}
        window = "image" if block == 3 else "8x8"
        name = f"image_encoder.blocks.{block}.attn.qkv"
        layers.append({"layer": name, "window": window, "weights": weights, "argmax": best})
    return layers


def _verdict(domain: str) -> dict[str, object]:
    files = [{"file": "masks/<b>.png", "problem": "covers 96 % of the image"}]
    failure = {
        "expectation": "foreground_share",
        "description": "a mask covers 0.05 to 95 % of its image",
        "severity": "warning",
        "count": 1,
        "files": files,
        "observed": "",
    }
    return {
        "dataset": domain,
        "passed": True,
        "pairs": 80,
        "pairs_per_split": {"train": 56, "validation": 17, "test": 7},
        "expectations_expected": 14,
        "expectations_run": 14,
        "failures": [failure],
        "dataset_sha256": "ab" * 32,
    }


def _certificate() -> dict[str, object]:
    return {
        "mode": "fold",
        "reason": "merge.mode asks for fold; validation Dice is 0.8021 before it and 0.8019 after it.",
        "attempts": [
            {
                "mode": "fold",
                "validation_dice": 0.8019,
                "metric_drop": 0.0002,
                "passed": True,
                "message": "validation Dice is 0.8021 before it and 0.8019 after it",
            }
        ],
        "images": 17,
        "max_logit_difference": 2.3e-5,
        "relative_logit_difference": 4.1e-7,
        "mask_agreement": 0.9999996,
        "validation_dice_before": 0.8021,
        "validation_dice_after": 0.8019,
        "parameters": {"base": 4900000, "adapted": 5100000, "merged": 4950000},
        "seconds_per_image": {"base": 0.051, "adapted": 0.062, "merged": 0.053},
        "passed": True,
    }
