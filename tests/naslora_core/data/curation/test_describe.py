from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.curation.describe import describe, measure_masks
from naslora_core.data.curation.quarantine import quarantine
from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.splits import write_splits

Write = Callable[..., Path]


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    """Four pairs of two classes, drawn by hand: 40 and 20 of 100 pixels, once 10 of 50, once a broken mask."""
    root = tmp_path / "regions"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rule = SplitRule(kind="listed", seed=0, train=0.5, validation=0.25, test=0.25)
    values = {"road": (10,), "roof": (20,)}
    write_card(root, DatasetCard(name="regions", title="Regions", classes=("road", "roof"), mask_values=values,
                                 split=rule, licence="CC0-1.0", citation="none", source="drawn"))  # fmt: skip
    first, second = np.zeros((10, 10), np.uint8), np.zeros((5, 10), np.uint8)
    first[:4], first[8:] = 10, 20
    second[:1] = 20
    for name, mask in {"a": first, "b": second, "c": first, "d": first}.items():
        Image.fromarray(np.zeros((*mask.shape, 3), np.uint8)).save(root / "images" / f"{name}.png")
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")
    (root / "masks" / "d.png").write_bytes(b"broken")
    write_splits(root, {"a": "train", "b": "train", "c": "test", "d": "validation"}, {"a": "p1", "b": "p1"})
    return root


def test_a_description_counts_what_was_drawn_by_hand(regions: Path) -> None:
    dataset = read_dataset(regions)
    found = describe(dataset, measure_masks(dataset))
    assert found.pairs == {"train": 2, "validation": 1, "test": 1}
    assert found.groups == {"train": 1, "validation": 1, "test": 1}
    assert found.distinct_sizes == 2
    assert found.sizes == {"smallest": (5, 10), "median": (10, 10), "largest": (10, 10)}
    road, roof = found.classes["road"], found.classes["roof"]
    assert (road["train"].images, road["train"].mean_share) == (1, pytest.approx(0.2))
    assert (roof["train"].images, roof["train"].mean_share) == (2, pytest.approx(0.2))
    assert (road["validation"].images, road["validation"].mean_share) == (0, 0.0)
    assert found.unmeasured == ("d",)
    assert found.encoding == "mask values by class: road: 10; roof: 20; background: 0"
    assert found.split_rule == "as published; newcomers are for training"


def test_what_is_in_quarantine_is_listed_and_not_counted(write_dataset: Write) -> None:
    root = write_dataset(10)
    quarantine(root, {"disc_02": "blurred"}, date(2026, 1, 31))
    dataset = read_dataset(root)
    found = describe(dataset, measure_masks(dataset))
    assert sum(found.pairs.values()) == 9
    assert [(one.name, one.reason) for one in found.quarantined] == [("disc_02", "blurred")]
    assert found.encoding == "a mask pixel of 128 or more is disc"


def test_what_nobody_labelled_is_in_no_share_and_has_its_own(regions: Path) -> None:
    card = read_dataset(regions).card
    write_card(regions, card.model_copy(update={"mask_ignore": (255, 254)}))
    mask = np.full((10, 10), 255, np.uint8)
    mask[:4], mask[4:6], mask[9] = 10, 0, 254
    for name in "abcd":
        Image.fromarray(np.zeros((10, 10, 3), np.uint8)).save(regions / "images" / f"{name}.png")
        Image.fromarray(mask).save(regions / "masks" / f"{name}.png")
    Image.fromarray(np.full((10, 10), 254, np.uint8)).save(regions / "masks" / "d.png")
    dataset = read_dataset(regions)
    measures = measure_masks(dataset)
    assert measures["a"].shares == (40 / 60, 0)
    assert measures["a"].foreground == pytest.approx(2 / 3)
    assert (measures["a"].ignored, measures["d"].ignored) == (0.4, 1)
    assert measures["d"].shares == (0, 0)
    found = describe(dataset, measures)
    assert found.ignored == pytest.approx((3 * 0.4 + 1) / 4)
    assert found.classes["road"]["train"].mean_share == pytest.approx(2 / 3)
    assert found.encoding == "mask values by class: road: 10; roof: 20; background: 0; not labelled: 255, 254"
