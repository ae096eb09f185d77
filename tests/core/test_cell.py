import torch

from naslora_core.cell import MixedOp
from naslora_core.ops import resolve_space


def make_cell(channels: int = 4) -> MixedOp:
    torch.manual_seed(5)
    cell = MixedOp(channels, resolve_space("linear")).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter)
    return cell


def test_one_convolution_equals_the_naive_sum_with_all_gradients():
    cell = make_cell()
    z = torch.randn(3, 4, 8, 8, dtype=torch.double, requires_grad=True)
    inputs = [z, *cell.parameters()]
    weight = torch.randn(3, 4, 8, 8, dtype=torch.double)
    fused = torch.autograd.grad((cell(z) * weight).sum(), inputs)
    naive = torch.autograd.grad((cell.forward_naively(z) * weight).sum(), inputs)
    assert any(gradient.abs().max() > 0.1 for gradient in fused)
    torch.testing.assert_close(cell(z), cell.forward_naively(z), rtol=0, atol=1e-10)
    for one, other in zip(fused, naive, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_the_alphas_decide_which_operation_acts():
    cell = make_cell()
    z = torch.randn(1, 4, 8, 8, dtype=torch.double)
    with torch.no_grad():
        cell.alphas.zero_()
        cell.alphas[cell.space.index("skip_connect")] = 50
    torch.testing.assert_close(cell(z), z)
    with torch.no_grad():
        cell.alphas[cell.space.index("none")] = 500
    torch.testing.assert_close(cell(z), torch.zeros_like(z))


def test_a_fresh_cell_passes_the_signal_on_instead_of_shrinking_it():
    torch.manual_seed(0)
    cell = MixedOp(8, resolve_space("linear"))
    # Constant maps, away from the border: every operation but `none` starts close to the identity.
    z = torch.randn(1, 8, 1, 1).expand(1, 8, 14, 14)
    inner = (cell(z) - 7 / 8 * z)[:, :, 2:-2, 2:-2]
    assert inner.abs().max() < 0.25 * z.abs().max()


def test_the_alphas_are_parameters_of_the_cell():
    cell = make_cell()
    assert "alphas" in cell.state_dict()
    torch.testing.assert_close(cell.op_weights.sum(), torch.tensor(1.0, dtype=torch.double))
