"""The threshold chosen on validation images: known logits, flat optima, one image, and where it is kept."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.merge.layers import Merged
from naslora_core.merge.merged import CONFIG_FILE, decide_threshold, read_merged_notes, save_merged
from naslora_core.merge.threshold import GRID, choose_by_dice, choose_threshold, dice_by_threshold
from naslora_core.sam.build import build_sam

SIDE = 32


class Brightness:
    """A segmenter whose probability is how bright a pixel is; none is equal to a threshold of `GRID`."""

    sam, image_size, scale = SimpleNamespace(device=torch.device("cpu")), SIDE, None

    def __call__(self, images: Tensor) -> Tensor:
        return torch.logit((images[:, :1].float() + 0.5) / 256)

    def upscale(self, logits: Tensor) -> Tensor:
        return logits


def grey(scale: float | None = None, count: int = 3) -> PreparedData:
    """Noise, of which what is brighter than 0.3 is foreground; a part of it nobody labelled."""
    images = np.random.default_rng(2).integers(0, 256, size=(count, SIDE, SIDE)).astype(np.uint8)
    masks = (images + 0.5 > 0.3 * 256).astype(np.uint8)
    masks[:, :4] = 2
    sizes = [(SIDE, SIDE)] * (count - 1) + [(20, SIDE)]
    masks[-1, 20:] = 1
    if scale is not None:
        # Of whole images nothing is padded.
        images, masks, sizes = images[:, :20], masks[:, :20], [(20, SIDE)] * count
    coloured = np.repeat(images[..., None], 3, axis=3)
    return PreparedData(coloured, masks, sizes, sizes, [str(n) for n in range(count)], scale=scale, side=SIDE)


@pytest.mark.parametrize("scale", [None, 1.0])
def test_dice_by_threshold_is_counted_over_the_labelled_pixels(scale: float | None) -> None:
    data = grey(scale)
    found = dice_by_threshold(Brightness(), data, "fp32")  # type: ignore[arg-type]
    for row, (height, width) in enumerate(data.input_sizes):
        pixels, ids = (data.images[row][:height, :width, 0] + 0.5) / 256, data.masks[row][:height, :width]
        for place, threshold in enumerate(GRID):
            marked, truth = (pixels > threshold) & (ids < 2), ids == 1
            assert found[row, place] == pytest.approx(2 * (marked & truth).sum() / (marked.sum() + truth.sum()))


def test_the_threshold_of_known_logits_is_found_and_holds_for_images_that_had_no_part_in_it() -> None:
    choice = choose_threshold(Brightness(), grey())  # type: ignore[arg-type]
    assert choice is not None
    assert choice.chosen == 0.3
    assert choice.dice["0.3"] == 1
    assert choice.gain == choice.gain_held_out == pytest.approx(1 - choice.dice["0.5"], abs=2e-6)


def test_an_image_without_foreground_and_without_prediction_agrees() -> None:
    data = grey()
    dark = replace(data, images=np.zeros_like(data.images), masks=np.zeros_like(data.masks))
    assert (dice_by_threshold(Brightness(), dark, "fp32") == 1).all()  # type: ignore[arg-type]


def test_of_several_classes_there_is_none() -> None:
    assert choose_threshold(Brightness(), replace(grey(), classes=("a", "b"))) is None  # type: ignore[arg-type]


def peaked(at: float, images: int) -> np.ndarray:
    return np.tile(0.8 - np.abs(np.array(GRID) - at), (images, 1))


@pytest.mark.parametrize("at", [0.1, 0.35, 0.5, 0.9])
def test_a_peak_that_all_images_share_is_taken(at: float) -> None:
    assert choose_by_dice(peaked(at, 4)).chosen == at


@pytest.mark.parametrize(
    "dice",
    [np.full((5, len(GRID)), 0.7), np.minimum(peaked(0.3, 5), 0.5), peaked(0.3, 1)],
    ids=["flat", "a plateau from 0.1 to 0.6", "one image"],
)
def test_what_cannot_be_told_from_the_best_stays_at_one_half(dice: np.ndarray) -> None:
    choice = choose_by_dice(dice)
    assert (choice.chosen, choice.gain, choice.gain_held_out) == (0.5, 0, 0)


def test_a_best_that_one_image_makes_is_chance_and_a_plateau_is_left_at_its_near_end() -> None:
    dice = peaked(0.5, 6)
    dice[0, GRID.index(0.2)] = 1.0 + 0.3 * 6
    assert dice.mean(axis=0).argmax() == GRID.index(0.2)
    assert choose_by_dice(dice).chosen == 0.5
    assert choose_by_dice(np.minimum(peaked(0.2, 5), 0.6)).chosen == 0.4


def test_a_threshold_that_differs_from_image_to_image_gains_less_on_held_out_ones() -> None:
    dice = np.concatenate([peaked(0.3, 2), peaked(0.4, 1)])
    choice = choose_by_dice(dice)
    assert choice.gain_held_out < choice.gain


def test_model_json_has_the_threshold_only_if_it_is_not_the_usual_one(tmp_path: Path) -> None:
    sam = build_sam("sam_tiny", 64)
    for name, threshold in (("own", 0.35), ("usual", 0.5)):
        (tmp_path / name).mkdir()
        save_merged(tmp_path / name, Merged(sam), "sam_tiny", "exact", {}, threshold)
    own, usual = (json.loads((tmp_path / name / CONFIG_FILE).read_text()) for name in ("own", "usual"))
    assert own == usual | {"threshold": 0.35}
    assert "threshold" not in usual
    assert read_merged_notes(tmp_path / "usual").threshold == 0.5
    assert [decide_threshold("auto", tmp_path / name) for name in ("own", "usual")] == [0.35, 0.5]
    assert decide_threshold(0.7, tmp_path / "not read") == 0.7
