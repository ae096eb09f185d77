"""Attention in pieces is attention."""

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from naslora_core.sam.families import chunked_attention as subject
from naslora_core.sam.families.chunked_attention import attend_in_pieces


def _tensors(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = (5, 12, 10), (5, 9, 10), (5, 9, 6)
    return [torch.randn(shape, generator=random).to(dtype).requires_grad_() for shape in shapes]


def _naive(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(1, 2)).softmax(dim=-1) @ v


def _biased(q: Tensor, k: Tensor, v: Tensor, bias: tuple[Tensor, Tensor]) -> Tensor:
    added = (bias[0][..., :, None] + bias[1][..., None, :]).flatten(2)
    return (q @ k.transpose(1, 2) + added).softmax(dim=-1) @ v


def _gradients(out: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    return list(torch.autograd.grad((out * weights).sum(), inputs))


@pytest.mark.parametrize("kept_keys", [8, 9])
@pytest.mark.parametrize("piece", [1, 9 * 5, 9 * 12, 9 * 12 * 2, 2**20])
def test_output_and_gradients_are_those_of_the_formula_however_it_is_cut(piece, kept_keys, monkeypatch):
    monkeypatch.setattr(subject, "PIECE", piece)
    monkeypatch.setattr(subject, "KEPT_KEYS", kept_keys)
    inputs = _tensors()
    found, expected = attend_in_pieces(*inputs), _naive(*inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    d_q, d_k, d_v = _gradients(found, inputs)
    exact = _gradients(expected, inputs)
    torch.testing.assert_close(d_q, exact[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(d_v, exact[2], rtol=0, atol=1e-12)
    torch.testing.assert_close(d_k[..., :6], exact[1][..., :6], rtol=0, atol=1e-12)
    assert not d_k[..., 6:].any()


@pytest.mark.parametrize("piece", [9 * 5, 2**20])
def test_bfloat16_loses_no_more_than_the_formula_does_in_it(piece, monkeypatch):
    monkeypatch.setattr(subject, "PIECE", piece)
    inputs = _tensors(torch.bfloat16)
    exact_inputs = [tensor.detach().double().requires_grad_() for tensor in inputs]
    exact = _naive(*exact_inputs)
    outcomes = []
    for attend in (attend_in_pieces, _naive):
        with torch.autocast("cpu", torch.bfloat16):
            out = attend(*inputs)
        assert out.dtype is torch.bfloat16
        outcomes.append([out, *_gradients(out, inputs)])
    expected = [exact, *_gradients(exact, exact_inputs)]
    for found, naive, right in zip(*outcomes, expected, strict=True):
        channels = min(6, right.shape[-1])
        error = [(tensor.double() - right)[..., :channels].abs().max() for tensor in (found, naive)]
        assert error[0] <= 1.5 * error[1]


def test_no_tensor_has_more_logits_than_a_piece(monkeypatch):
    monkeypatch.setattr(subject, "PIECE", 100)
    monkeypatch.setattr(subject, "KEPT_KEYS", 0)
    inputs = [torch.randn(2, 40, 4, requires_grad=True) for _ in range(3)]
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        attend_in_pieces(*inputs).sum().backward()
    shapes = [shape for event in recorded.events() for shape in event.input_shapes if shape]
    sizes = [torch.Size(shape).numel() for shape in shapes if all(isinstance(side, int) for side in shape)]
    assert max(sizes) == 2 * 40 * 4


@pytest.mark.parametrize("kept_keys", [8, 9])
@pytest.mark.parametrize("piece", [9 * 5, 9 * 12 * 2, 2**20])
def test_a_bias_of_rows_and_columns_is_added(piece, kept_keys, monkeypatch):
    monkeypatch.setattr(subject, "PIECE", piece)
    monkeypatch.setattr(subject, "KEPT_KEYS", kept_keys)
    q, k, v = (torch.randn(5, tokens, 6, dtype=torch.float64, requires_grad=True) for tokens in (12, 9, 9))
    bias = tuple(torch.randn(5, 12, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    found, expected = attend_in_pieces(q, k, v, bias), _biased(q, k, v, bias)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    inputs = [q, k, v, *bias]
    for gradient, exact in zip(_gradients(found, inputs), _gradients(expected, inputs), strict=True):
        torch.testing.assert_close(gradient, exact, rtol=0, atol=1e-12)
