"""What a run records of its epochs."""

import math

import pytest
import torch

from naslora_core.training.history import alpha_entropy


def test_entropy_is_one_for_equal_shares_zero_for_a_choice_and_the_mean_of_the_layers(adapted_sam):
    _, adapters = adapted_sam
    alphas = [layer.arch_parameters()[0] for layer in adapters.values()]
    for logits in alphas:
        torch.nn.init.zeros_(logits)
    assert alpha_entropy(adapters) == pytest.approx(1)
    shares = torch.zeros_like(alphas[0])
    shares.flatten()[0] = 0.75
    shares.flatten()[1:] = 0.25 / (shares.numel() - 1)
    alphas[0].data.copy_(shares.log())
    own = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25 / (shares.numel() - 1))) / math.log(shares.numel())
    assert alpha_entropy(adapters) == pytest.approx((own + len(alphas) - 1) / len(alphas), abs=1e-5)
    for logits in alphas:
        logits.data.flatten()[0] = 200
    assert alpha_entropy(adapters) == pytest.approx(0, abs=1e-5)


def test_without_a_search_there_is_no_entropy():
    assert alpha_entropy({}) is None
