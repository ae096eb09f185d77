import copy

import pytest
import torch

from naslora_core.cell import Cell, MixedOp, PartialMixedOp
from naslora_core.cell.kernels import as_matrix, run_kernels
from naslora_core.errors import MergeError
from naslora_core.ops import OPS, LinearPrimitive, resolve_space
from naslora_core.ops.spaces import SPACES

LINEAR = [name for name in OPS if isinstance(OPS[name](1), LinearPrimitive)]


def randomised(module: torch.nn.Module, seed: int = 5) -> torch.nn.Module:
    torch.manual_seed(seed)
    for parameter in module.double().parameters():
        torch.nn.init.normal_(parameter)
    return module


def naive_sum(mixture: MixedOp, z: torch.Tensor) -> torch.Tensor:
    """Return sum_i softmax(alphas)_i O_i(z), operation by operation, as the formula is written."""
    return torch.stack([w * op(z) for w, op in zip(mixture.op_weights, mixture.ops, strict=True)]).sum(dim=0)


def assert_same_with_all_gradients(fused, naive, inputs) -> None:
    weight = torch.randn(fused.shape, dtype=torch.double)
    fast = torch.autograd.grad((fused * weight).sum(), inputs)
    slow = torch.autograd.grad((naive * weight).sum(), inputs)
    torch.testing.assert_close(fused, naive, rtol=0, atol=1e-10)
    assert any(gradient.abs().max() > 0.1 for gradient in fast)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "space", [*SPACES.values(), *((name, "skip_connect") for name in LINEAR if name != "skip_connect")]
)
def test_one_convolution_equals_the_naive_sum_with_all_gradients(space):
    cell = randomised(MixedOp(4, space))
    z = torch.randn(3, 4, 8, 8, dtype=torch.double, requires_grad=True)
    assert_same_with_all_gradients(cell(z), naive_sum(cell, z), [z, *cell.parameters()])


@pytest.mark.parametrize("seed", range(8))
def test_random_mixtures_of_all_linear_operations_are_one_convolution(seed):
    order = torch.randperm(len(LINEAR), generator=torch.Generator().manual_seed(seed)).tolist()
    space = [LINEAR[index] for index in order[: 2 + seed]]
    # A space of buffers alone has no weights to compare gradients of.
    cell = randomised(MixedOp(3, [*dict.fromkeys([*space, "conv_3x3"])]), seed)
    z = torch.randn(2, 3, 14, 9, dtype=torch.double, requires_grad=True)
    assert_same_with_all_gradients(cell(z), naive_sum(cell, z), [z, *cell.parameters()])


def test_a_cell_of_linear_operations_runs_a_single_convolution():
    cell = MixedOp(4, resolve_space("linear"))
    with torch.profiler.profile() as profile:
        cell(torch.randn(1, 4, 8, 8))
    assert sum(event.count for event in profile.key_averages() if event.key == "aten::conv2d") == 1


def test_the_alphas_decide_which_operation_acts():
    cell = randomised(MixedOp(4, resolve_space("linear")))
    z = torch.randn(1, 4, 8, 8, dtype=torch.double)
    with torch.no_grad():
        cell.alphas.zero_()
        cell.alphas[cell.space.index("skip_connect")] = 50
    torch.testing.assert_close(cell(z), z)
    with torch.no_grad():
        cell.alphas[cell.space.index("none")] = 500
    torch.testing.assert_close(cell(z), torch.zeros_like(z))


@pytest.mark.parametrize("space", list(SPACES))
def test_a_fresh_cell_passes_the_signal_on_instead_of_shrinking_it(space):
    torch.manual_seed(0)
    cell = MixedOp(8, resolve_space(space))
    # Constant maps, away from the border: every operation but `none` starts close to the identity.
    z = torch.randn(1, 8, 1, 1).expand(1, 8, 24, 24)
    share = 1 - 1 / len(cell.space)
    inner = (cell(z) - share * z)[:, :, 6:-6, 6:-6]
    assert inner.abs().max() < 0.25 * z.abs().max()


def test_the_alphas_are_parameters_of_the_cell():
    cell = MixedOp(4, resolve_space("linear"))
    assert "alphas" in dict(cell.named_parameters())
    torch.testing.assert_close(cell.op_weights.sum(), torch.tensor(1.0))


def test_a_low_temperature_sharpens_the_choice():
    cell = MixedOp(4, ("skip_connect", "conv_1x1"))
    with torch.no_grad():
        cell.alphas.copy_(torch.tensor([1.0, 0.0]))
    cell.set_time(temperature=0.1, pressure=0)
    torch.testing.assert_close(cell.op_weights, torch.tensor([10.0, 0.0]).softmax(dim=0))


def test_pressure_moves_weight_to_pointwise_operations_and_in_the_end_removes_the_others():
    cell = randomised(MixedOp(4, resolve_space("paper")))
    spatial = [index for index, name in enumerate(cell.space) if name not in ("none", "skip_connect")]
    before = cell.op_weights[spatial].sum()
    cell.set_time(temperature=1, pressure=2)
    assert 0 < cell.op_weights[spatial].sum() < before
    cell.set_time(temperature=1, pressure=float("inf"))
    assert cell.is_pointwise
    assert not cell.op_weights[spatial].any()
    assert cell.as_kernel().shape[-1] == 1
    z = torch.randn(1, 4, 5, 5, dtype=torch.double, requires_grad=True)
    torch.testing.assert_close(cell(z), naive_sum(cell, z))
    gradient = torch.autograd.grad(cell(z).square().sum(), cell.alphas)[0]
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
    assert not gradient[spatial].any()


def test_a_mixture_that_is_loaded_or_copied_is_as_pointwise_as_the_one_it_was_made_from():
    cell = randomised(MixedOp(4, resolve_space("linear")))
    cell.set_time(temperature=1, pressure=float("inf"))
    z = torch.randn(1, 4, 5, 5, dtype=torch.double)
    other = MixedOp(4, resolve_space("linear")).double()
    assert not other.is_pointwise
    other.load_state_dict(cell.state_dict())
    for same in (other, copy.deepcopy(cell)):
        assert same.is_pointwise
        assert torch.equal(same(z), cell(z))
        assert same.as_kernel().shape[-1] == 1
    other.load_state_dict(MixedOp(4, resolve_space("linear")).state_dict())
    assert not other.is_pointwise


def test_an_operation_that_is_not_linear_has_no_kernel_until_pressure_removes_it():
    cell = MixedOp(4, ("skip_connect", "max_pool_3x3"))
    with pytest.raises(MergeError, match="max_pool_3x3 in search.space cannot become a convolution"):
        cell.as_kernel()
    cell.set_time(temperature=1, pressure=float("inf"))
    assert cell.as_kernel().shape == (4, 4, 1, 1)


def test_a_partial_edge_changes_only_its_share_of_the_channels():
    edge = randomised(PartialMixedOp(8, resolve_space("linear"), partial_channel_k=4, shuffle=False))
    z = torch.randn(2, 8, 6, 6, dtype=torch.double)
    torch.testing.assert_close(edge(z)[:, :2], edge.mixed_op(z[:, :2]))
    assert torch.equal(edge(z)[:, 2:], z[:, 2:])


def test_a_shuffle_interleaves_the_groups_of_channels():
    edge = PartialMixedOp(6, ("skip_connect",), partial_channel_k=3, shuffle=True)
    z = torch.arange(6.0)[None, :, None, None].expand(1, 6, 2, 2)
    assert edge(z)[0, :, 0, 0].tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_partial_edge_is_the_convolution_it_says(shuffle):
    edge = randomised(PartialMixedOp(8, resolve_space("linear"), partial_channel_k=2, shuffle=shuffle))
    z = torch.randn(2, 8, 6, 6, dtype=torch.double)
    torch.testing.assert_close(run_kernels({(0, 1): edge.as_kernel()}, z), edge(z))


def test_one_node_is_the_formula_of_the_paper():
    cell = randomised(Cell(1, lambda: MixedOp(4, resolve_space("linear"))))
    edge = cell.mixed_ops()["0_1"]
    z = torch.randn(1, 4, 6, 6, dtype=torch.double)
    assert torch.equal(cell(z), edge(z))
    assert cell.arch_parameters() == [edge.alphas]


def test_nodes_are_weighted_means_of_the_edges_that_arrive_and_the_result_is_their_mean():
    cell = randomised(Cell(2, lambda: MixedOp(4, ("skip_connect", "conv_3x3")), edge_normalisation=True))
    edges, z = cell.edges, torch.randn(1, 4, 6, 6, dtype=torch.double)
    first = edges["0_1"](z)
    shares = cell.betas[0].exp() / cell.betas[0].exp().sum()
    second = shares[0] * edges["0_2"](z) + shares[1] * edges["1_2"](first)
    torch.testing.assert_close(cell(z), (first + second) / 2)
    assert len(cell.arch_parameters()) == 4


def test_without_edge_normalisation_all_edges_weigh_the_same():
    cell = Cell(3, lambda: MixedOp(4, ("skip_connect",)))
    assert not cell.betas
    assert cell.edge_weights(3).tolist() == pytest.approx([1 / 3] * 3)
    z = torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(cell(z), z)


def make_graph() -> Cell:
    return Cell(3, lambda: PartialMixedOp(8, resolve_space("linear"), 4, shuffle=True), edge_normalisation=True)


def test_a_cell_is_its_kernels_at_borders_too():
    cell = randomised(make_graph())
    z = torch.randn(2, 8, 5, 7, dtype=torch.double)
    kernels = cell.edge_kernels()
    assert len(kernels) == 6
    torch.testing.assert_close(run_kernels(kernels, z), cell(z))


def test_a_pointwise_cell_is_a_matrix_and_a_spatial_one_is_not():
    cell = randomised(make_graph())
    with pytest.raises(MergeError, match="a 5x5 convolution does not fit"):
        as_matrix(cell.edge_kernels())
    for edge in cell.mixed_ops().values():
        edge.set_time(temperature=1, pressure=float("inf"))
    z = torch.randn(2, 8, 5, 7, dtype=torch.double)
    torch.testing.assert_close(torch.einsum("oc,bchw->bohw", as_matrix(cell.edge_kernels()), z), cell(z))
