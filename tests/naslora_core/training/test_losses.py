import pytest
import torch
import torch.nn.functional as F

from naslora_core.errors import ConfigError
from naslora_core.training.losses import LOSSES, ce_dice_loss, make_loss, structure_loss


@pytest.fixture
def case():
    """Random logits, masks of three classes and valid areas; the second image fills 20 x 24 of 24 x 24 pixels."""
    generator = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(2, 3, 24, 24, generator=generator)
    valid = torch.ones(2, 1, 24, 24)
    valid[1, :, 20:] = 0
    masks = torch.randint(0, 4, (2, 1, 24, 24), generator=generator).float() * valid
    return logits, masks, valid


@pytest.fixture
def binary(case):
    logits, masks, valid = case
    return logits[:, :1], (masks > 0).float(), valid


def test_every_loss_is_finite_and_has_a_gradient(train, binary):
    logits, masks, valid = binary
    assert set(LOSSES) == {"ce_dice", "ce_dice_cl", "structure"}
    for name in LOSSES:
        leaf = logits.clone().requires_grad_()
        make_loss(train.model_copy(update={"loss": name}), classes=1)(leaf, masks, valid).backward()
        assert torch.isfinite(leaf.grad).all()
        assert leaf.grad.abs().max() > 0


def test_no_loss_reads_what_lies_in_the_padding(train, binary):
    logits, masks, valid = binary
    changed = torch.where(valid > 0, logits, -7 * logits)
    noise = torch.where(valid > 0, masks, 1 - masks)
    for name in LOSSES:
        for weighted in (True, False):
            settings = train.model_copy(update={"loss": name, "structure_weights_bce": weighted})
            loss = make_loss(settings, classes=1)
            assert torch.equal(loss(changed, noise, valid), loss(logits, masks, valid))


def test_ce_dice_is_zero_for_certainty_and_large_for_its_opposite():
    masks = torch.zeros(1, 1, 8, 8)
    masks[..., :4, :4] = 1
    right = (masks * 2 - 1) * 40
    assert ce_dice_loss(right, masks, torch.ones_like(masks)) < 1e-6
    assert ce_dice_loss(-right, masks, torch.ones_like(masks)) > 10


def test_ce_dice_of_a_shrug_is_what_the_formula_says():
    masks = torch.zeros(1, 1, 2, 2)
    masks[..., 0, :] = 1
    expected = torch.log(torch.tensor(2.0)) + 1 - (2 * 1 + 1) / (2 + 2 + 1)
    torch.testing.assert_close(ce_dice_loss(torch.zeros(1, 1, 2, 2), masks, torch.ones_like(masks)), expected)


def test_ce_dice_of_several_classes_is_what_a_loop_over_images_and_classes_gives(case):
    logits, masks, valid = case
    expected = 0.0
    for image in range(2):
        inside = valid[image, 0] > 0
        scores = torch.cat([torch.zeros(1, 24, 24), logits[image]])[:, inside].double()  # (4, pixels)
        ids = masks[image, 0][inside].long()
        probability = scores.exp() / scores.exp().sum(dim=0)
        entropy = -probability.gather(0, ids[None]).log().mean()
        dice = []
        for k in (1, 2, 3):
            truth = (ids == k).double()
            dice.append(1 - (2 * (probability[k] * truth).sum() + 1) / (probability[k].sum() + truth.sum() + 1))
        expected += (entropy + sum(dice) / 3) / 2
    torch.testing.assert_close(ce_dice_loss(logits, masks, valid).double(), expected, rtol=1e-5, atol=0)


def test_two_classes_that_never_compete_lose_what_one_class_does(binary):
    # The second class is impossible, so the softmax over three is the sigmoid over one; its Dice loss is zero.
    logits, masks, valid = binary
    both = torch.cat([logits, torch.full_like(logits, -60)], dim=1)
    one, two = ce_dice_loss(logits, masks, valid), ce_dice_loss(both, masks, valid)
    entropy = (F.softplus(logits) - logits * masks) * valid
    entropy = (entropy.sum((1, 2, 3)) / valid.sum((1, 2, 3))).mean()
    torch.testing.assert_close(two - entropy, (one - entropy) / 2)


def published_structure_loss(pred, mask):
    """The formula of https://github.com/DengPingFan/PraNet, MyTrain.py; reduce="none" gives one mean, as there."""
    weit = 1 + 5 * torch.abs(F.avg_pool2d(mask, kernel_size=31, stride=1, padding=15) - mask)
    wbce = F.binary_cross_entropy_with_logits(pred, mask, reduction="mean")
    wbce = (weit * wbce).sum(dim=(2, 3)) / weit.sum(dim=(2, 3))
    pred = torch.sigmoid(pred)
    inter = ((pred * mask) * weit).sum(dim=(2, 3))
    union = ((pred + mask) * weit).sum(dim=(2, 3))
    wiou = 1 - (inter + 1) / (union - inter + 1)
    return (wbce + wiou).mean()


def test_without_padding_structure_is_what_the_authors_code_computes():
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(3, 1, 48, 48, generator=generator)
    masks = torch.zeros_like(logits)
    masks[0, :, 5:30, 10:40] = 1
    masks[1, :, :12, :] = 1
    valid = torch.ones_like(masks)
    torch.testing.assert_close(
        structure_loss(logits, masks, valid, weights_bce=False), published_structure_loss(logits, masks)
    )
    weights = 1 + 5 * (F.avg_pool2d(masks, 31, stride=1, padding=15) - masks).abs()
    bce = F.softplus(logits) - logits * masks
    weighted = ((weights * bce).sum((1, 2, 3)) / weights.sum((1, 2, 3))).mean()
    difference = structure_loss(logits, masks, valid, weights_bce=True) - structure_loss(
        logits, masks, valid, weights_bce=False
    )
    torch.testing.assert_close(difference, weighted - bce.mean())
    assert abs(difference) > 1e-3


def test_padding_changes_the_structure_loss_of_an_image_no_more_than_its_border_does():
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(1, 1, 20, 20, generator=generator)
    masks = (torch.rand(1, 1, 20, 20, generator=generator) > 0.5).float()
    bare = structure_loss(logits, masks, torch.ones_like(masks), weights_bce=True)
    padded = [F.pad(part, (0, 12, 0, 12)) for part in (logits, masks, torch.ones_like(masks))]
    torch.testing.assert_close(structure_loss(*padded, weights_bce=True), bare)


def test_structure_refuses_several_classes_and_names_the_setting(train):
    with pytest.raises(
        ConfigError, match=r"train\.loss structure is made for one class, the data has 3; use .*ce_dice"
    ):
        make_loss(train.model_copy(update={"loss": "structure"}), classes=3)
