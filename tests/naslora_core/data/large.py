"""Large images on disk, and what is done with them, for a process of its own whose memory is measured."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.prepared.crops import ShuffledCrops
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.data.preprocess.preprocess import preprocess

HEIGHT, WIDTH = 2000, 3000


def draw(root: Path, count: int) -> None:
    """Write images of smooth noise, every third of them as PNG, with two thin lines each."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    rule = SplitRule(kind="listed", seed=1, train=0.6, validation=0.2, test=0.2)
    write_card(root, DatasetCard(name=root.name, title="Lines", classes=("line",), mask_threshold=128, licence="CC0",
                                 citation="none", source="drawn", split=rule))  # fmt: skip
    for index in range(count):
        noise = np.random.default_rng(index).integers(60, 200, (HEIGHT // 20, WIDTH // 20, 3), dtype=np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        mask[600:603], mask[:, 900:902] = 255, 255
        image = Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
        image.save(root / "images" / f"{index:02}.{'png' if index % 3 == 0 else 'jpg'}")
        Image.fromarray(mask).save(root / "masks" / f"{index:02}.png")
    names = "".join(f"{index:02},train\n" for index in range(count))
    (root / "splits.csv").write_text(f"name,split\n{names}", encoding="utf-8")


def preparing(root: Path, output: Path) -> Callable[[], None]:
    """Return what prepares the images; the second time there is nothing to decode."""
    return partial(preprocess, read_dataset(root), 256, output, view="crops", workers=1)


def cropping(output: Path) -> Callable[[], None]:
    """Return what takes fifty batches of crops."""
    data = load_prepared(output, "train")
    batches = ShuffledCrops(data, range(len(data)), 4, seed=1, augment=True)
    torch.set_num_threads(1)

    def take() -> None:
        for _ in range(50):
            next(batches)

    return take
