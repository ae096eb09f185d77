"""A choice of operations: what it computes while it mixes, and what is left when it has chosen."""

import pytest
import torch

from naslora_core.cell import ChoiceOp
from naslora_core.geometry.windows import Windows
from naslora_core.ops.spaces import SPACES

SPACE = (*SPACES["choices"], "image_dw_dil_conv_3x3", "dct_filter", "singular_values")
IN_GRID = [name for name in SPACE if name != "singular_values"]


def make(windows: Windows | None, space=SPACE) -> ChoiceOp:
    torch.manual_seed(0)
    return ChoiceOp(4, space, windows).double()


def one_by_one(choice: ChoiceOp, z: torch.Tensor) -> torch.Tensor:
    """The weighted sum by its definition, with the windows put together for operations that see the image."""
    total = torch.zeros_like(z)
    for weight, op in zip(choice.op_weights, choice.candidates, strict=True):
        if op.scales_base:
            continue
        if op.sees_image and choice.windows:
            joined = op(choice.windows.join(z.movedim(1, -1)).movedim(-1, 1))
            total = total + weight * choice.windows.split(joined.movedim(1, -1)).movedim(-1, 1)
        else:
            total = total + weight * op(z)
    return total


@pytest.mark.parametrize("windows", [None, Windows(4, 2)])
def test_the_mixture_and_its_gradients_are_those_of_the_operations_one_by_one(windows):
    z = torch.randn(8, 4, 4, 4, dtype=torch.double)
    for space in (SPACE, ("skip_connect", "conv_3x3", "image_conv_3x3", "max_pool_3x3")):
        fast, slow = make(windows, space), make(windows, space)
        mixed, expected = fast(z), one_by_one(slow, z)
        torch.testing.assert_close(mixed, expected)
        mixed.square().sum().backward()
        expected.square().sum().backward()
        for own, other in zip(fast.parameters(), slow.parameters(), strict=True):
            assert (own.grad is None) == (other.grad is None)
            if own.grad is not None:
                torch.testing.assert_close(own.grad, other.grad)


@pytest.mark.parametrize("name", IN_GRID)
def test_a_chosen_operation_is_all_that_is_left(name):
    choice = make(Windows(4, 2))
    choice.choose(SPACE.index(name))
    z = torch.randn(8, 4, 4, 4, dtype=torch.double)
    assert choice.op_weights.tolist() == [float(other == name) for other in SPACE]
    torch.testing.assert_close(choice(z), one_by_one(choice, z))


def test_the_largest_kernel_takes_over_all_that_convolutions_computed():
    space = ("skip_connect", "image_dw_conv_3x3", "image_conv_3x3", "image_conv_5x5")
    z = torch.randn(1, 4, 9, 9, dtype=torch.double)
    choice = make(None, space)
    before = choice(z)
    choice.choose(space.index("image_conv_5x5"))
    torch.testing.assert_close(choice(z), before)


def test_an_operation_that_sees_the_image_reaches_the_next_window_and_others_do_not():
    windows = Windows(4, 2)
    z = torch.zeros(4, 4, 4, 4, dtype=torch.double)
    z[0, :, 3, 3] = 1
    for name, reaches in (("image_conv_3x3", True), ("conv_3x3", False), ("dct_filter", True)):
        choice = make(windows, (name,))
        assert bool(choice(z)[3].any()) == reaches, name


def test_muted_neighbours_leave_every_token_alone_and_change_nothing_else():
    choice = make(None)
    z = torch.randn(1, 4, 9, 9, dtype=torch.double)
    choice.muted = True
    alone = choice(z)
    changed = z.clone()
    changed[..., 4, 4] += 1
    touched = (choice(changed) - alone).abs().amax(dim=(0, 1)) > 1e-9
    assert touched.nonzero().tolist() == [[4, 4]]
    choice.muted = False
    centre = choice._kernel()[..., 2, 2]
    torch.testing.assert_close(alone, torch.einsum("oi,bihw->bohw", centre, z))
