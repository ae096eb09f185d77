"""Pixels that nobody labelled in training: they are not valid, have no gradient, and no Dice counts them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.prepared.augmentation import augmentation
from naslora_core.data.prepared.batches import make_batch
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.training.losses import LOSSES, make_loss
from naslora_core.validation import mean_dice

CLASSES = ("stem", "leaf")
SIDE = 48


def squares(marker: int) -> PreparedData:
    """Three squares with a class each way and a frame, a stripe and a speck of `marker`; the last one is padded."""
    rng = np.random.default_rng(2)
    images = rng.integers(0, 255, (3, SIDE, SIDE, 3)).astype(np.uint8)
    masks = np.zeros((3, SIDE, SIDE), dtype=np.uint8)
    masks[:, 5:25, 5:25], masks[:, 25:40, 20:44] = 1, 2
    masks[:, :3], masks[:, :, 16:18], masks[:, 33, 33] = marker, marker, marker
    masks[2, 30:] = 0
    sizes = [(SIDE, SIDE), (SIDE, SIDE), (30, SIDE)]
    return PreparedData(images, masks, sizes, sizes, ["a", "b", "c"], classes=CLASSES)


def batch_of(data: PreparedData, transform: v2.Transform | None = None):
    torch.manual_seed(8)
    return make_batch(data, range(3), transform)


def test_in_a_batch_ignored_pixels_are_not_valid_and_have_the_id_of_the_background():
    data = squares(IGNORED_ID)
    batch, ignored = batch_of(data), torch.tensor(data.masks == IGNORED_ID)[:, None]
    assert ignored.any(dim=(2, 3)).all()
    assert set(batch.masks.unique().tolist()) == {0, 1, 2}
    assert batch.masks[ignored].max() == batch.valid[ignored].max() == 0
    inside = torch.ones_like(ignored)
    inside[2, :, 30:] = False
    assert torch.equal(batch.valid == 1, inside & ~ignored)
    assert data.masks.max() == IGNORED_ID, "the rows are as they were"


@pytest.mark.parametrize("seed", range(5))
def test_augmentation_moves_ignored_pixels_as_it_moves_a_class(seed: int):
    # A third class in their place shows where they go.
    marked, ignored = replace(squares(3), classes=(*CLASSES, "marker")), squares(IGNORED_ID)
    torch.manual_seed(seed)
    expected = make_batch(marked, range(3), augmentation())
    torch.manual_seed(seed)
    batch = make_batch(ignored, range(3), augmentation())
    moved = expected.masks == 3
    assert moved.any()
    assert torch.equal(batch.images, expected.images)
    assert torch.equal(batch.masks, expected.masks * ~moved)
    assert torch.equal(batch.valid, expected.valid * ~moved)


@pytest.mark.parametrize(
    ("name", "classes"), [("ce_dice", 1), ("ce_dice", 2), ("ce_dice_cl", 1), ("ce_dice_cl", 2), ("structure", 1)]
)
def test_the_gradient_of_every_loss_is_zero_where_nobody_labelled(train, name: str, classes: int):
    batch = batch_of(squares(IGNORED_ID), augmentation())
    masks = batch.masks if classes > 1 else (batch.masks > 0).float()
    logits = torch.randn(3, classes, SIDE, SIDE, generator=torch.Generator().manual_seed(1), requires_grad=True)
    make_loss(train.model_copy(update={"loss": name}), classes)(logits, masks, batch.valid).backward()
    assert logits.grad is not None
    outside = (batch.valid == 0).expand_as(logits)
    assert logits.grad[outside].abs().max() == 0
    assert logits.grad[~outside].abs().min() > 0


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_no_loss_reads_a_logit_or_breaks_where_nobody_labelled(train, name: str):
    loss = make_loss(train.model_copy(update={"loss": name}), 1)
    batch = batch_of(squares(IGNORED_ID))
    masks = (batch.masks > 0).float()
    logits = torch.randn(3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    certain = torch.where(batch.valid > 0, logits, torch.full_like(logits, 40.0))
    torch.testing.assert_close(loss(certain, masks, batch.valid), loss(logits, masks, batch.valid), rtol=0, atol=0)
    nothing = replace(squares(IGNORED_ID), masks=np.full((3, SIDE, SIDE), IGNORED_ID, dtype=np.uint8))
    empty = batch_of(nothing)
    leaf = logits.clone().requires_grad_()
    loss(leaf, empty.masks, empty.valid).backward()
    assert leaf.grad is not None
    assert leaf.grad.abs().max() == 0


def test_validation_dice_is_that_of_the_labelled_pixels():
    data = squares(IGNORED_ID)

    class LeafEverywhere(torch.nn.Module):
        sam = torch.nn.Module()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1).expand(len(images), 2, SIDE, SIDE)

        def upscale(self, masks: torch.Tensor) -> torch.Tensor:
            return masks

    LeafEverywhere.sam.device = torch.device("cpu")
    expected = []
    for ids, (height, width) in zip(data.masks, data.input_sizes, strict=True):
        shown = ids[:height, :width]
        leaf, labelled = (shown == 2).sum(), (shown != IGNORED_ID).sum()
        # The stem is there and not found: a class of the image with a score of 0.
        expected.append(2 * leaf / (leaf + labelled) / 2)
    assert mean_dice(LeafEverywhere(), data, "fp32") == pytest.approx(np.mean(expected))
