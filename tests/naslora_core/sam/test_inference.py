"""Averaging over flips, and the overlap of parts: off is as without them, on is what a plain mean gives."""

from typing import Any

import numpy as np
import pytest
import torch

from naslora_core.predict import Predictor
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.inference import FLIPPED_AXES, OVERLAP, PLAIN, Inference, mean_over_flips
from naslora_core.sam.tiled import tiled_logits


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, size=(*shape, 3)).astype(np.uint8)


def sam_of(classes: int, scale: float | None) -> Sam:
    torch.manual_seed(3)
    sam = build_sam("sam_tiny", 64)
    set_head(sam, MaskHead(classes, scale=scale))
    torch.nn.init.normal_(sam.mask_decoder.mask_tokens.weight)
    return sam.eval()


def plain_mean(predictor: Predictor, image: np.ndarray, flips: Any) -> np.ndarray:
    """The mean over flips, each predicted by itself."""
    logits = []
    for axes in FLIPPED_AXES[flips]:
        (found,) = predictor.logits([np.flip(image, axes).copy()])
        logits.append(np.flip(found, [axis + 1 for axis in axes]))
    return np.mean(logits, axis=0)


@pytest.mark.parametrize("flips", ["horizontal", "all"])
def test_flips_change_nothing_for_a_model_that_sees_every_pixel_by_itself(flips: Any) -> None:
    images = [noise(7, 9), noise(12, 5)]

    def brightness(seen: Any) -> list[np.ndarray]:
        return [image.transpose(2, 0, 1).astype(np.float32) for image in seen]

    for found, image in zip(mean_over_flips(brightness, images, flips), images, strict=True):
        np.testing.assert_array_equal(found, brightness([image])[0])


def test_every_flip_takes_part_once() -> None:
    """What marks the upper left corner only, marks a corner for each flip, by a part of the whole."""

    def corner(seen: Any) -> list[np.ndarray]:
        marks = [np.zeros((1, *image.shape[:2]), dtype=np.float32) for image in seen]
        for mark in marks:
            mark[0, 0, 0] = 1
        return marks

    image = noise(3, 4)
    half, quarter = (mean_over_flips(corner, [image], flips)[0][0] for flips in ("horizontal", "all"))
    np.testing.assert_array_equal(half, [[0.5, 0, 0, 0.5], [0] * 4, [0] * 4])
    np.testing.assert_array_equal(quarter, [[0.25, 0, 0, 0.25], [0] * 4, [0.25, 0, 0, 0.25]])


@pytest.mark.parametrize("scale", [None, 1.0])
def test_flips_that_share_predictions_give_what_each_gives_alone(scale: float | None) -> None:
    predictor, images = Predictor(sam_of(1, scale), "fp32"), [noise(64, 90), noise(80, 40)]
    together = predictor.with_flips(images, list(FLIPPED_AXES))
    for flips, found in zip(FLIPPED_AXES, together, strict=True):
        for one, alone in zip(found, predictor.using(Inference(flips))(images), strict=True):
            np.testing.assert_array_equal(one, alone)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("flips", ["horizontal", "all"])
def test_logits_of_whole_images_are_the_plain_mean(classes: int, flips: Any) -> None:
    predictor, images = Predictor(sam_of(classes, None), "fp32"), [noise(64, 50), noise(40, 90)]
    found = predictor.using(Inference(flips)).logits(images)
    for image, logits in zip(images, found, strict=True):
        assert logits.shape == (classes, *image.shape[:2])
        np.testing.assert_allclose(logits, plain_mean(predictor, image, flips), atol=1e-4)
        assert np.abs(logits - predictor.logits([image])[0]).max() > 1e-3


@pytest.mark.parametrize("classes", [1, 2])
def test_logits_of_parts_are_the_plain_mean_of_every_part(classes: int) -> None:
    """Parts at the ends of an axis mirror each other, so that flipping the image flips the parts."""
    predictor, image = Predictor(sam_of(classes, 1.0), "fp32"), noise(64, 100)
    (logits,) = predictor.using(Inference("all")).logits([image])
    assert logits.shape == (classes, 64, 100)
    np.testing.assert_allclose(logits, plain_mean(predictor, image, "all"), atol=1e-4)
    assert np.abs(logits - predictor.logits([image])[0]).max() > 1e-3


@pytest.mark.parametrize("scale", [None, 1.0])
def test_pieces_that_the_caller_has_cut_are_flipped_like_images(scale: float | None) -> None:
    predictor, image = Predictor(sam_of(1, scale), "fp32", inference=Inference("all")), noise(60, 50)
    np.testing.assert_array_equal(predictor.logits_of_pieces([image])[0], predictor.logits([image])[0])


def test_without_flips_every_bit_is_as_before() -> None:
    image = noise(70, 100)
    parts, whole = (Predictor(sam_of(1, scale), "fp32") for scale in (1.0, None))
    rows = tiled_logits(parts._segmenter, image, 1.0, "fp32", OVERLAP)
    np.testing.assert_array_equal(parts.logits([image])[0], np.concatenate([band for _, band in rows], axis=1))
    with torch.no_grad():
        np.testing.assert_array_equal(whole.logits([image])[0], whole._of_whole_images([image])[0])
    for predictor in (parts, whole):
        np.testing.assert_array_equal(predictor.using(PLAIN).logits([image])[0], predictor.logits([image])[0])


def test_the_overlap_is_that_of_the_parts_and_another_way_of_use_leaves_the_first_alone() -> None:
    predictor, image = Predictor(sam_of(1, 1.0), "fp32"), noise(64, 100)
    counts = []
    predictor._segmenter.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    before = predictor.logits([image])[0]
    for overlap in (0.0, 0.5):
        predictor.using(Inference(overlap=overlap)).logits([image])
    # 100 pixels are two parts of 64, and three where half of each is shared.
    assert counts == [2, 2, 3]
    np.testing.assert_array_equal(predictor.logits([image])[0], before)
