"""The soft clDice loss, which asks that centrelines be connected and true, and the soft skeleton behind it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

# Minimum or maximum of two tensors by element, into a third.
Extreme = Callable[..., Tensor]

# The skeleton of a line of up to 2 (EROSIONS + 1) = 8 px is complete. Objects are thin where they are narrower than two
# cells of the mask decoder's, which are 8 px; more erosions would add little but time.
EROSIONS = 3
# Skeletons are computed in parts of 0.5 MB a tensor, two images of 256 px: within a training step on a CPU eight images
# at once took twice as long, because the system has to give each larger tensor fresh pages.
PIXELS_AT_ONCE = 2**17


def soft_cl_dice_loss(probability: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return 1 - soft clDice, the mean over the batch of the means over classes.

    A class that an image lacks has no centreline and adds 0: cross-entropy and Dice say all there is to say there, and
    the skeletons of empty masks would cost as much as those of full ones.

    Args:
        probability: (B, K, S, S) in 0..1, computed with in float32 whatever it is.
        target: (B, K, S, S), 1 where an image is of a class.
        valid: (B, 1, S, S), 1 on the image and 0 on its padding and on pixels that nobody labelled. There masks end
            as they do at the image's border.

    Source: arXiv:2003.07311, section 4, Algorithm 2.
    """
    valid = valid.float()
    target = target.float() * valid
    images, classes = target.flatten(2).any(dim=2).nonzero(as_tuple=True)
    inside = valid[images]
    truth, guess = target[images, classes, None], probability.float()[images, classes, None] * inside
    at_once = max(1, PIXELS_AT_ONCE // valid[0].numel())
    parts = zip(*(tensor.split(at_once) for tensor in (guess, truth, inside)), strict=True)
    return torch.stack([_losses(*part).sum() for part in parts]).sum() / (target.shape[0] * target.shape[1])


def _losses(guess: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Return the loss of each of N masks; all (N, 1, S, S), 0 where not valid -> (N,)."""
    with torch.no_grad():
        # Of zeros and ones; a byte each is a quarter of the time.
        true_line = soft_skeleton(truth.byte(), valid.byte()).float()
    precision, sensitivity = _share(soft_skeleton(guess, valid), truth), _share(true_line, guess)
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def _share(line: Tensor, mask: Tensor) -> Tensor:
    """Return how much of each line lies in its mask; (N, 1, S, S) -> (N,), 1 for no line."""
    return ((line * mask).sum((1, 2, 3)) + 1) / (line.sum((1, 2, 3)) + 1)


def soft_skeleton(mask: Tensor, valid: Tensor) -> Tensor:
    """Return the soft skeleton of masks: what an opening removes, of the mask and of every erosion of it.

    Erosion and dilation are the minimum and maximum over 3 x 3 pixels. Beyond the border and where a pixel is not
    valid they see nothing, neither object nor background.

    Args:
        mask: (N, 1, S, S) in 0..1, 0 where not valid; float, or any type if it is hard.
        valid: (N, 1, S, S), 0 or 1, of the same type.

    Returns:
        (N, 1, S, S) in 0..1, 0 where not valid.

    Source: arXiv:2003.07311, section 4, Algorithm 1.
    """
    beyond = 1 - valid
    absent = torch.ones_like(mask)
    for _ in range(EROSIONS + 1):
        eroded = _Pool3x3.apply(mask + beyond, torch.minimum) * valid
        opened = _Pool3x3.apply(eroded, torch.maximum)
        # S + (1 - S) d, of the complements: an opening is never above its mask, so that the paper's ReLU has no work.
        absent = torch.addcmul(absent, absent, mask - opened, value=-1)
        mask = eroded
    return (1 - absent) * valid


class _Pool3x3(torch.autograd.Function):
    """The minimum or maximum over 3 x 3 pixels, with stride 1.

    On a CPU max_pool2d takes ten times as long for one channel; of elementwise operations those on floats are fast and
    those on booleans are not, so that comparisons are written into floats.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, extreme: Extreme) -> Tensor:
        columns = _extreme_of_three(x, 2, extreme)
        squares = _extreme_of_three(columns, 3, extreme)
        ctx.save_for_backward(x, columns, squares)
        return squares

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        x, columns, squares = ctx.saved_tensors  # type: ignore[attr-defined]
        return _to_its_source(_to_its_source(gradient, columns, squares, 3), x, columns, 2), None


def _extreme_of_three(x: Tensor, dim: int, extreme: Extreme) -> Tensor:
    """Return the extreme of every pixel and its two neighbours along a dimension."""
    result, last = x.clone(), x.shape[dim] - 1
    for ours, theirs in ((0, 1), (1, 0)):
        part = result.narrow(dim, ours, last)
        extreme(part, x.narrow(dim, theirs, last), out=part)
    return result


def _to_its_source(gradient: Tensor, x: Tensor, result: Tensor, dim: int) -> Tensor:
    """Return the gradient of `_extreme_of_three`: each pixel's goes to where its value is from.

    Of equal values the pixel's own comes first, then that of the neighbour before it.
    """
    last = x.shape[dim] - 1
    received = torch.eq(x, result, out=torch.empty_like(gradient)).mul_(gradient)
    rest = gradient - received
    rest_of_later = rest.narrow(dim, 1, last)
    to_before = torch.eq(result.narrow(dim, 1, last), x.narrow(dim, 0, last), out=torch.empty_like(rest_of_later)).mul_(
        rest_of_later
    )
    received.narrow(dim, 0, last).add_(to_before)
    rest_of_later.sub_(to_before)
    received.narrow(dim, 1, last).add_(rest.narrow(dim, 0, last))
    return received
