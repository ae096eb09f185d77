"""Pictures show what nobody labelled in grey, and never in a class' colour."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import Dataset, read_dataset
from naslora_core.data.dataset.splits import write_splits
from naslora_core.evaluation.evaluate import evaluate_models
from naslora_core.pictures.contact_sheet import write_contact_sheet
from naslora_core.pictures.gallery import write_gallery
from naslora_core.pictures.heat import heat_panels, share_inside, write_heat, write_heat_sheet
from naslora_core.pictures.overlays import (
    CLASS_COLOURS,
    GAP_PX,
    IGNORED_COLOUR,
    PREDICTION_COLOUR,
    TRUTH_COLOUR,
    css,
    panel,
)

SIDE = 80
RULE = SplitRule(kind="listed", seed=1, train=0.5, validation=0.25, test=0.25)
COLOURS = (*CLASS_COLOURS, TRUTH_COLOUR, PREDICTION_COLOUR)


def domain(root: Path, classes: tuple[str, ...]) -> Dataset:
    """Three grey images; on the left of each a square of every class, and the right half is ignored."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    values = {name: (number,) for number, name in enumerate(classes, start=1)}
    write_card(root, DatasetCard(name=root.name, title="Halves", classes=classes, mask_values=values,
                                 mask_ignore=(255,), split=RULE, licence="CC0", citation="none",
                                 source="drawn"))  # fmt: skip
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for number in range(1, len(classes) + 1):
        mask[10 + 30 * (number - 1) : 30 + 30 * (number - 1), 8:28] = number
    mask[:, SIDE // 2 :] = 255
    for name in "abc":
        Image.fromarray(np.full((SIDE, SIDE, 3), 90, np.uint8)).save(root / "images" / f"{name}.png")
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")
    write_splits(root, dict.fromkeys("abc", "test"))
    return read_dataset(root)


@pytest.fixture(params=[("one",), ("one", "two")], ids=["one class", "two classes"])
def halves(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    return domain(tmp_path / "halves", request.param)


def near(pixels: np.ndarray, colour: Iterable[int], by: int = 25) -> int:
    """Return how many pixels are about of a colour."""
    return int((np.abs(pixels[..., :3].astype(int) - tuple(colour)).max(axis=-1) < by).sum())


def check_halves(pixels: np.ndarray, most_coloured: int = 0) -> None:
    """Check that the ignored half of a panel is grey and that none of it has a colour."""
    right = pixels[:, pixels.shape[1] * 21 // 40 :]
    assert np.ptp(right[..., :3].astype(int), axis=-1).max() <= 6
    assert near(right, IGNORED_COLOUR, by=12) > 0.3 * right[..., 0].size
    assert len(np.unique(right[..., 0])) > 1, "it is hatched, or has a border"


def test_a_panel_hatches_ignored_pixels_and_leaves_the_others():
    image = np.full((SIDE, SIDE, 3), 200, np.uint8)
    ignored = np.zeros((SIDE, SIDE), bool)
    ignored[:, SIDE // 2 :] = True
    drawn = np.asarray(panel(image, (), ignored))
    check_halves(drawn)
    assert (drawn[:, : SIDE // 2] == 200).all()
    assert (np.asarray(panel(image)) == 200).all()


def test_the_contact_sheet_draws_classes_alone_and_says_what_grey_means(halves: Dataset, tmp_path: Path):
    write_contact_sheet(tmp_path / "sheet.png", halves, 3)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    # Four times as large as the image.
    top, left = 2 * GAP_PX + 26, GAP_PX + (360 - 4 * SIDE) // 2
    shown = sheet[top : top + 4 * SIDE, left : left + 4 * SIDE]
    check_halves(shown)
    assert sum(near(shown[:, : 2 * SIDE], colour) for colour in COLOURS) > 20
    assert near(sheet[: top - GAP_PX], IGNORED_COLOUR, by=2) >= 16 * 16


def predict_all(images: list[np.ndarray]) -> list[np.ndarray]:
    return [np.full(image.shape[:2], 0.9, np.float32) for image in images]


def test_the_gallery_shows_no_error_where_nobody_labelled(halves: Dataset, tmp_path: Path):
    models = dict.fromkeys(("base", "merged"), lambda: predict_all)
    pairs = halves.of_split("test")
    evaluations = evaluate_models(models, pairs, halves.card, 0.5)
    write_gallery(tmp_path / "out", pairs, halves.card, evaluations, size=1)
    (entry,) = json.loads((tmp_path / "out" / "gallery.json").read_text(encoding="utf-8"))
    assert entry["legend"]["not labelled"] == css(IGNORED_COLOUR)
    assert entry["truth_share"] == 400 * len(halves.card.classes) / SIDE**2
    assert entry["panels"]["image"] == []
    for title in ("truth", "base", "merged", "errors"):
        assert entry["panels"][title][0]["colour"] == css(IGNORED_COLOUR)
        assert css(IGNORED_COLOUR) not in {path["colour"] for path in entry["panels"][title][1:]}
    strip = np.asarray(Image.open(tmp_path / "out" / entry["strip"]))
    panels = [strip[:, place * (SIDE + GAP_PX) :][:, :SIDE] for place in range(5)]
    assert (panels[0][..., :3] == 90).all()
    check_halves(panels[1])
    errors = panels[4][:, SIDE // 2 + 1 :]
    assert np.ptp(errors[..., :3].astype(int), axis=-1).max() == 0, "plain grey"
    assert near(panels[4][:, : SIDE // 2], PREDICTION_COLOUR, by=70) > 400


def test_heat_on_ignored_pixels_is_not_counted_and_hatched(halves: Dataset, tmp_path: Path):
    pairs = halves.of_split("test")
    heat = np.zeros((8, 8), np.float32)
    heat[:, 6:], heat[1:3, 1:3] = 50, 1
    heats = {"base": {pair.name: heat for pair in pairs}, "adapted": {pair.name: np.ones((8, 8)) for pair in pairs}}
    panels = heat_panels(pairs[0], halves.card, heats)
    check_halves(np.asarray(panels["truth"]))
    right, plain = np.asarray(panels["base"])[:, 70:], np.asarray(panels["base"])[:, :30]
    assert near(right, IGNORED_COLOUR, by=45) > 0.4 * right[..., 0].size
    assert near(plain, IGNORED_COLOUR, by=10) == 0
    write_heat(tmp_path, pairs[:1], halves.card, heats)
    (entry,) = json.loads((tmp_path / "heat.json").read_text(encoding="utf-8"))
    share = 400 * len(halves.card.classes) / (SIDE * SIDE / 2)
    assert entry["truth_share"] == pytest.approx(share)
    assert entry["inside"]["adapted"] == pytest.approx(share, abs=1e-6)
    shares = write_heat_sheet(tmp_path / "sheet.png", pairs, halves.card, heats)
    assert shares == pytest.approx(entry["inside"], abs=1e-6)


def test_the_share_of_heat_inside_is_that_of_the_labelled_cells():
    truth = np.array([[1, 0], [255, 255]], dtype=np.uint8)
    assert share_inside(np.array([[1.0, 3.0], [9.0, 7.0]]), truth) == 0.25
    assert share_inside(np.array([[0.0, 0.0], [9.0, 7.0]]), truth) == 0
