from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.bench.unet.crops import CropSampler, resize_image
from naslora_core.data.dataset.card import DatasetCard, SplitRule
from naslora_core.data.dataset.dataset import Pair
from naslora_core.errors import DataError
from naslora_core.progress import silent

RULE = SplitRule(kind="listed", seed=0, train=1.0, validation=0.0, test=0.0)


def card(**how) -> DatasetCard:
    return DatasetCard(
        name="drawn", title="Drawn", split=RULE, licence="none", citation="none", source="drawn", **how
    )  # fmt: skip


SQUARE = card(classes=("square",), mask_threshold=128, mask_ignore=(7,))


def write(folder: Path, name: str, image: np.ndarray, mask: np.ndarray) -> Pair:
    paths = folder / f"{name}-image.png", folder / f"{name}-mask.png"
    for path, pixels in zip(paths, (image, mask), strict=True):
        Image.fromarray(pixels).save(path)
    return Pair(name, *paths, "train")


@pytest.fixture
def pair(tmp_path) -> Pair:
    """Of 100x160 px: one object of 4x4 px that is white where all else is black, and a column nobody labelled."""
    mask = np.zeros((100, 160), np.uint8)
    mask[70:74, 120:124] = 255
    mask[:, 0] = 7
    image = np.repeat(np.where(mask == 255, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    return write(tmp_path, "one", image, mask)


def sampler(pairs, crop_px, longer_px=None, seed=3, dataset=SQUARE):
    return CropSampler(pairs, dataset, crop_px, longer_px, seed, silent)


def test_image_and_mask_are_cut_flipped_and_turned_together_and_half_show_an_object(pair):
    crops = sampler([pair], 32).draw(200)
    assert crops.images.shape == (200, 3, 32, 32)
    assert crops.masks.shape == crops.valid.shape == (200, 1, 32, 32)
    # Of crops anywhere, 32 * 32 of 16 * 16 places and so 8 % show a part of it.
    showing = crops.masks.amax((1, 2, 3)) > 0
    assert 0.4 < showing.float().mean() < 0.65
    white = crops.images.mean(dim=1, keepdim=True) > 0.5
    assert ((white == (crops.masks > 0)) | (crops.valid == 0)).all()
    centres = {tuple(np.argwhere(mask[0].numpy()).mean(axis=0).round().astype(int)) for mask in crops.masks[showing]}
    assert len(centres) > 20


def test_what_nobody_labelled_and_what_is_padding_does_not_count(pair):
    crops = sampler([pair], 176).draw(8)
    # One column of 100 px is not labelled; the rest of 176x176 px beyond 100x160 is padding.
    assert (crops.valid.sum((1, 2, 3)) == 100 * 159).all()
    assert set(crops.masks.unique().tolist()) == {0.0, 1.0}
    assert (crops.masks * (1 - crops.valid)).sum() == 0


def test_the_same_seed_draws_the_same_crops(pair):
    first, again, other = (sampler([pair], 32, seed=seed).draw(4) for seed in (3, 3, 4))
    assert first.images.equal(again.images)
    assert not first.images.equal(other.images)


def test_every_class_is_looked_for_alike(tmp_path):
    mask = np.zeros((64, 640), np.uint8)
    mask[:, :300], mask[60:62, 600:602] = 1, 2
    dataset = card(classes=("large", "small"), mask_values={"large": (1,), "small": (2,)})
    crops = sampler([write(tmp_path, "two", np.zeros((64, 640, 3), np.uint8), mask)], 32, dataset=dataset).draw(200)
    small = (crops.masks == 2).any(dim=3).any(dim=2).float().mean()
    assert 0.15 < small < 0.4


def test_large_images_are_shrunk_and_small_ones_are_not(pair):
    image = np.zeros((100, 160, 3), np.uint8)
    assert resize_image(image, 80).shape == (50, 80, 3)
    assert resize_image(image, 160) is image
    assert resize_image(image, None) is image
    crops = sampler([pair], 80, longer_px=80).draw(20)
    assert (crops.valid.sum((1, 2, 3)) == 50 * 80).all()
    # 4x4 px at half their size.
    assert (crops.masks.sum((1, 2, 3)) == 4).all()


def test_images_that_memory_does_not_hold_are_read_for_every_crop(pair, monkeypatch):
    held = sampler([pair], 32).draw(4)
    monkeypatch.setattr("naslora_core.bench.unet.crops._MEMORY_BYTES", 1)
    assert sampler([pair], 32).draw(4).images.equal(held.images)


def test_no_image_at_all_is_an_error():
    with pytest.raises(DataError, match="no image to train on"):
        sampler([], 32)
