"""A layer that chooses, and what is left of it: every operation and every rank."""

import pytest
import torch
from torch import nn

from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.adapters.budget.layer import ChoosingLayer, FoundLayer, rank_levels, singular_vectors
from naslora_core.geometry.windows import Windows
from naslora_core.ops.spaces import SPACES

SPACE = (*SPACES["choices"], "image_dw_dil_conv_3x3", "dct_filter", "singular_values")
WINDOWS = Windows(4, 2)
SECTIONS = ("q", "k", "v")


def make(windows: Windows | None = WINDOWS) -> ChoosingLayer:
    torch.manual_seed(0)
    return ChoosingLayer(nn.Linear(12, 18), 16, SPACE, rank_levels(8), SECTIONS, windows)


def trained(windows: Windows | None = WINDOWS) -> ChoosingLayer:
    layer = make(windows)
    for parameter in layer.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.3)
    return layer


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(8, 4, 4, 12)


def test_a_fresh_layer_is_its_base_bit_for_bit(x):
    layer = make()
    assert torch.equal(layer(x), layer.base_layer(x))


def test_every_weight_and_alpha_learns(x):
    layer = trained()
    layer(x).square().sum().backward()
    silent = [name for name, p in layer.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []
    assert layer.base_layer.weight.grad is None


@pytest.mark.parametrize("operation", ["", *SPACE])
def test_the_tokens_of_an_image_are_mapped_as_their_padded_windows_are(operation):
    layer, image = trained(), torch.randn(2, 7, 7, 12)
    layers = [layer]
    if operation:
        layer.choose(LayerChoice(operation=operation, ranks=dict(zip(SECTIONS, (4, 0, 2), strict=True))))
        layers.append(layer.found())
    for each in layers:
        expected = WINDOWS.join(each(WINDOWS.split(WINDOWS.pad(image))))
        torch.testing.assert_close(each.on_padded_grid(image, WINDOWS).whole(), expected)


@pytest.mark.parametrize("windows", [None, WINDOWS])
@pytest.mark.parametrize("operation", SPACE)
@pytest.mark.parametrize("ranks", [(8, 8, 8), (4, 0, 2), (0, 0, 8)])
def test_what_is_left_is_what_was_chosen(x, operation, ranks, windows):
    layer = trained(windows)
    layer.choose(LayerChoice(operation=operation, ranks=dict(zip(SECTIONS, ranks, strict=True))))
    found = layer.found()
    assert isinstance(found, FoundLayer)
    assert found.rank == max(ranks)
    torch.testing.assert_close(found(x), layer(x))
    left_alone = [name for name, rank in zip(SECTIONS, ranks, strict=True) if rank == 0]
    changed = (found(x) - layer.base_layer(x)).unflatten(-1, (3, 6)).abs().amax(dim=(0, 1, 2, 4)) > 0
    assert [name for name, moved in zip(SECTIONS, changed.tolist(), strict=True) if not moved] == left_alone


def test_a_layer_without_ranks_is_its_base_again(x):
    layer = trained()
    layer.choose(LayerChoice(operation="image_conv_3x3", ranks={"q": 0, "k": 0, "v": 0}))
    assert torch.equal(layer(x), layer.base_layer(x))
    assert layer.found() is None


@pytest.mark.parametrize("operation", ["skip_connect", "singular_values"])
def test_exact_choices_are_a_weight(x, operation):
    layer = trained()
    layer.choose(LayerChoice(operation=operation, ranks={"q": 8, "k": 2, "v": 0}))
    found = layer.found()
    assert found is not None
    merged = nn.functional.linear(x, found.base_layer.weight + found.delta_weight(), found.base_layer.bias)
    torch.testing.assert_close(found(x), merged)


def test_choosing_the_largest_kernel_and_all_ranks_changes_nothing_but_other_operations(x):
    torch.manual_seed(0)
    space = ("skip_connect", "image_conv_3x3", "image_conv_5x5")
    layer = ChoosingLayer(nn.Linear(12, 18), 16, space, rank_levels(8), SECTIONS, WINDOWS)
    nn.init.normal_(layer.lora_B)
    before = layer(x)
    layer.choose(LayerChoice(operation="image_conv_5x5", ranks=dict.fromkeys(SECTIONS, 8)))
    torch.testing.assert_close(layer(x), before)


def test_dropping_neighbours_for_good_is_what_muting_them_shows(x):
    layer = trained()
    layer.op.muted = True
    shown = layer(x)
    layer.op.muted = False
    assert not torch.allclose(layer(x), shown)
    layer.drop_neighbours()
    torch.testing.assert_close(layer(x), shown)


def test_channels_beyond_the_cap_of_a_projection_have_no_part_and_the_first_count_most(x):
    layer = trained()
    layer.caps = {"q": 0, "k": 4, "v": 8}
    masks = layer.masks()
    assert not masks[0].any()
    assert masks[1].tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3, 0, 0, 0, 0])
    assert masks[2].tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])


def test_scaling_singular_values_adds_no_direction_and_starts_at_nothing(x):
    base = nn.Linear(12, 18)
    found = FoundLayer(base, LayerChoice(operation="singular_values", ranks={"lin1": 4}), 2.0, None)
    assert torch.equal(found(x), base(x))
    nn.init.constant_(found.op.get_parameter("scales"), 2.0)
    left, values, right = torch.linalg.svd(base.weight)
    expected = left[:, :4] * values[:4] @ right[:4]
    torch.testing.assert_close(found.delta_weight(), expected, atol=1e-5, rtol=0)
    assert [name for name, p in found.named_parameters() if p.requires_grad] == ["op.scales"]


def test_singular_vectors_leave_the_generator_alone_and_can_be_more_than_there_are():
    layer = nn.Linear(3, 4)
    torch.manual_seed(5)
    expected = torch.randn(1)
    torch.manual_seed(5)
    down, up = singular_vectors(layer, 6)
    assert torch.equal(torch.randn(1), expected)
    assert (down.shape, up.shape) == ((6, 3), (4, 6))
    torch.testing.assert_close(up @ down, layer.weight)


@pytest.mark.parametrize(("rank", "levels"), [(1, (0, 1)), (2, (0, 2)), (6, (0, 2, 4, 6)), (16, (0, 2, 4, 8, 16))])
def test_ranks_to_choose_from(rank, levels):
    assert rank_levels(rank) == levels
