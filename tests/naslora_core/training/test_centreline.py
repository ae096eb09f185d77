"""Soft clDice and its skeleton: Algorithms 1 and 2 of arXiv:2003.07311, by pooling as torch has it."""

import pytest
import torch
import torch.nn.functional as F
from monai.losses.cldice import soft_skel

from naslora_core.training import centreline
from naslora_core.training.centreline import EROSIONS, soft_cl_dice_loss, soft_skeleton
from naslora_core.training.losses import CENTRELINE_WEIGHT, ce_dice_cl_loss, ce_dice_loss


def line(width: int, side: int = 24) -> torch.Tensor:
    mask = torch.zeros(1, 1, side, side)
    mask[..., 3:-3, 8 : 8 + width] = 1
    return mask


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def published_skeleton(mask: torch.Tensor) -> torch.Tensor:
    """Algorithm 1 with its three poolings, its ReLU and its iterations as they are printed."""

    def min_pool(x: torch.Tensor) -> torch.Tensor:
        return -F.max_pool2d(-x, 3, 1, 1)

    def max_pool(x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, 3, 1, 1)

    skeleton = F.relu(mask - max_pool(min_pool(mask)))
    for _ in range(EROSIONS):
        mask = min_pool(mask)
        skeleton = skeleton + (1 - skeleton) * F.relu(mask - max_pool(min_pool(mask)))
    return skeleton


def published_loss(guess: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Algorithm 2 of (N, 1, S, S), a smoothing of 1 as in the authors' code."""
    line, true_line = published_skeleton(guess), published_skeleton(truth)
    precision = ((line * truth).sum((1, 2, 3)) + 1) / (line.sum((1, 2, 3)) + 1)
    sensitivity = ((true_line * guess).sum((1, 2, 3)) + 1) / (true_line.sum((1, 2, 3)) + 1)
    return (1 - 2 * precision * sensitivity / (precision + sensitivity)).mean()


@pytest.fixture
def case():
    """Probabilities and targets of two images and two classes; the second class is in the second image alone."""
    target = (noise(2, 2, 20, 28, seed=2) > 0.6).float()
    target[0, 1] = 0
    return noise(2, 2, 20, 28), target


def test_the_skeleton_and_its_gradient_are_those_of_the_paper():
    mine, theirs = (noise(3, 1, 20, 28).requires_grad_() for _ in range(2))
    weight = noise(3, 1, 20, 28, seed=4)
    skeleton, expected = soft_skeleton(mine, torch.ones_like(mine)), published_skeleton(theirs)
    torch.testing.assert_close(skeleton, expected)
    (skeleton * weight).sum().backward()
    (expected * weight).sum().backward()
    assert mine.grad is not None
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_the_gradient_is_that_of_finite_differences(case):
    probability, target = (part[:, :, :7, :9].double() for part in case)
    valid = torch.ones(2, 1, 7, 9, dtype=torch.float64)
    valid[0, :, :, 6:] = 0
    # In float32, as the loss is computed: a step well above its rounding, and below the distance of two random numbers.
    torch.autograd.gradcheck(
        lambda guess: soft_cl_dice_loss(guess, target, valid), probability.requires_grad_(), eps=2e-4, atol=2e-3
    )


@pytest.mark.parametrize("pixels", [1, 2**17])
def test_the_loss_is_that_of_a_loop_over_the_images_and_classes_that_are_there(case, pixels: int, monkeypatch):
    monkeypatch.setattr(centreline, "PIXELS_AT_ONCE", pixels)
    probability, target = case
    there = [(0, 0), (1, 0), (1, 1)]
    expected = sum(published_loss(probability[i, k][None, None], target[i, k][None, None]) for i, k in there) / 4
    torch.testing.assert_close(soft_cl_dice_loss(probability, target, torch.ones(2, 1, 20, 28)), expected)


@pytest.mark.parametrize("width", range(1, 8))
def test_along_a_line_the_skeleton_is_that_of_monai(width: int):
    # MONAI and the authors' code erode by a cross, where Algorithm 1 says pooling: they differ at ends and corners.
    mask = line(width) * torch.linspace(0.4, 0.9, 24)
    ours, theirs = soft_skeleton(mask, torch.ones_like(mask)), soft_skel(mask, EROSIONS)
    torch.testing.assert_close(ours[..., 8:-8, :], theirs[..., 8:-8, :])


@pytest.mark.parametrize("width", range(1, 2 * (EROSIONS + 1) + 1))
def test_the_skeleton_of_what_is_called_thin_runs_along_all_of_it(width: int):
    mask = line(width)
    skeleton = soft_skeleton(mask, torch.ones_like(mask))
    ends = width // 2 + 3
    assert (skeleton[..., ends:-ends, :].sum(dim=3) == (1 if width % 2 else 2)).all()


def test_thicker_lines_have_no_complete_skeleton():
    mask = line(2 * (EROSIONS + 1) + 1)
    assert soft_skeleton(mask, torch.ones_like(mask))[..., 10:-10, :].sum() == 0


def test_the_truth_costs_nothing_and_a_break_costs_more_than_a_border_that_is_off():
    truth, valid = line(3), torch.ones(1, 1, 24, 24)
    broken, wide = truth.clone(), line(4)
    broken[..., 10:13, :] = 0
    assert broken.sum() == truth.sum() - 9
    assert soft_cl_dice_loss(truth, truth, valid) == 0
    assert soft_cl_dice_loss(broken, truth, valid) > 3 * soft_cl_dice_loss(wide, truth, valid)
    assert ce_dice_cl_loss((truth * 2 - 1) * 40, truth, valid) < 1e-6


def test_padding_is_like_the_border_of_an_image_for_lines_that_run_into_it():
    truth, guess = line(3)[..., 3:-3, :12], noise(1, 1, 18, 12)
    bare = soft_cl_dice_loss(guess, truth, torch.ones_like(truth))
    padded = [F.pad(part, (0, 9, 0, 5)) for part in (guess, truth, torch.ones_like(truth))]
    torch.testing.assert_close(soft_cl_dice_loss(*padded), bare)


def test_an_image_without_foreground_has_no_centreline_to_lose():
    logits = (8 * noise(2, 3, 24, 24) - 4).requires_grad_()
    nothing, valid = torch.zeros(2, 1, 24, 24), torch.ones(2, 1, 24, 24)
    loss = ce_dice_cl_loss(logits, nothing, valid)
    assert torch.equal(loss, ce_dice_loss(logits, nothing, valid))
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_bfloat16_logits_are_computed_with_in_float32():
    masks, valid = line(2), torch.ones(1, 1, 24, 24)
    logits = (8 * noise(1, 1, 24, 24) - 4).bfloat16().requires_grad_()
    loss = ce_dice_cl_loss(logits, masks, valid)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, ce_dice_cl_loss(logits.float(), masks, valid))
    loss.backward()
    assert logits.grad.dtype == torch.bfloat16
    assert logits.grad.abs().max() > 0


def test_the_loss_is_ce_dice_plus_centrelines_by_class():
    ids = torch.zeros(1, 1, 24, 24)
    ids[..., 3:-3, 4:6], ids[..., 10:13, 8:20] = 1, 2
    logits = 8 * noise(1, 2, 24, 24) - 4
    probability = torch.cat([torch.zeros(1, 1, 24, 24), logits], dim=1).softmax(dim=1)[:, 1:]
    by_class = [published_loss(probability[:, k, None], (ids == k + 1).float()) for k in range(2)]
    expected = ce_dice_loss(logits, ids, torch.ones_like(ids)) + CENTRELINE_WEIGHT * sum(by_class) / 2
    torch.testing.assert_close(ce_dice_cl_loss(logits, ids, torch.ones_like(ids)), expected)
