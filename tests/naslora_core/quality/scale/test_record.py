"""What the report shows of scale: widths.json, and pictures where something is lost."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.splits import write_splits
from naslora_core.quality.measure import measure_pairs
from naslora_core.quality.scale.lost import best_kept
from naslora_core.quality.scale.record import write_scale
from naslora_core.quality.scale.view import suggest_view
from tests.naslora_core.quality.corpus import save
from tests.naslora_core.quality.flawless import CARD


def lines(width: int) -> np.ndarray:
    mask = np.zeros((300, 400), np.uint8)
    mask[50 : 50 + width, 20:380] = mask[30:290, 200 : 200 + width] = 255
    return mask


def dataset_of(root: Path, width: int) -> Path:
    rng = np.random.default_rng(4)
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        save(root / "images" / f"{name}.png", rng.integers(0, 255, (300, 400, 3), dtype=np.uint8))
        save(root / "masks" / f"{name}.png", lines(width))
    write_card(root, CARD)
    write_splits(root, dict(zip("abcd", ("train", "train", "validation", "test"), strict=True)))
    return root


def written(root: Path, folder: Path) -> dict[str, bytes]:
    dataset = read_dataset(root)
    table = measure_pairs(dataset, input_px=64)
    write_scale(folder, table, dataset, 64, suggest_view(table, CARD, 64))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_thin_objects_are_shown_as_drawn_and_as_kept(tmp_path: Path) -> None:
    files = written(dataset_of(tmp_path / "data", 8), tmp_path / "scale")
    content = json.loads(files["widths.json"])
    assert (content["input_px"], content["cell_px"]) == (64, 4)
    assert [(one["name"], one["objects"]) for one in content["classes"]] == [("disc", 2)]
    assert content["classes"][0]["native"] == [[8.0, 1.0]]
    assert content["classes"][0]["whole"] == [[1.297, 1.0]]
    # The two of the training split alone.
    assert [one["name"] for one in content["examples"]] == ["a", "b"]
    assert set(files) == {
        "widths.json",
        *(f"{n}_{kind}" for n in (1, 2) for kind in ("image.jpg", "drawn.png", "kept.png")),
    }
    drawn, kept = (np.asarray(Image.open(tmp_path / "scale" / f"1_{kind}.png")) for kind in ("drawn", "kept"))
    assert drawn.shape == kept.shape == (240, 240)
    assert 0 < drawn.mean() < 0.07
    assert (drawn != kept).any()
    assert 0 < content["examples"][0]["dice"] < 0.7


def test_wide_objects_have_no_pictures_and_a_second_time_gives_the_same_bytes(tmp_path: Path) -> None:
    wide, thin = dataset_of(tmp_path / "wide", 60), dataset_of(tmp_path / "thin", 3)
    assert set(written(wide, tmp_path / "scale")) == {"widths.json"}
    assert written(thin, tmp_path / "one") == written(thin, tmp_path / "two")


@pytest.mark.parametrize(("width", "least", "most"), [(2, 0.3, 0.6), (8, 0.6, 0.9), (32, 0.9, 1.0)])
def test_a_mask_of_cells_keeps_the_more_the_wider_objects_are(width: int, least: float, most: float) -> None:
    # Four pixels of the drawn mask are one of the input, sixteen one cell.
    drawn = np.zeros((256, 256), bool)
    drawn[101 : 101 + width, 10:240] = True
    kept, dice = best_kept(drawn, 64)
    assert least <= dice <= most
    assert dice == pytest.approx(2 * (kept & drawn).sum() / (kept.sum() + drawn.sum()))
