import math
import warnings

import pytest
import torch

from naslora_core.cell import MixedOp
from naslora_core.training import optim


def test_weight_rates_rise_for_the_warm_up_and_fall_to_zero_like_half_a_cosine():
    rates = [optim.weight_rate(step, 100, 10) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates.index(max(rates)) == 9
    assert rates[50] == pytest.approx(0.5)
    assert rates[75] == pytest.approx(0.5 * (1 - math.sqrt(0.5)))
    assert rates[-1] < 0.001
    assert optim.weight_rate(0, 100, 0) == 1


def test_arch_rates_stay_or_fall():
    assert [optim.arch_rate(step, 4, "constant") for step in range(4)] == [1] * 4
    assert [optim.arch_rate(step, 4, "cosine") for step in (0, 2)] == pytest.approx([1, 0.5])
    assert 0 < optim.arch_rate(3, 4, "cosine") < 0.2


@pytest.mark.parametrize(
    ("epochs", "warmup", "per_epoch", "every"), [(5, 2, 7, 3), (6, 0, 1, 2), (3, 1, 1, 2), (2, 3, 4, 1)]
)
def test_turns_of_the_architecture_are_those_that_counting_finds(epochs, warmup, per_epoch, every):
    units = [(unit // per_epoch, unit + 1) for unit in range(epochs * per_epoch)]
    expected = sum(epoch >= warmup and count % every == 0 for epoch, count in units)
    assert optim.arch_turns(epochs, warmup, per_epoch, every) == expected


def test_the_temperature_changes_by_one_factor_from_warm_up_to_the_last_epoch():
    values = [optim.temperature_at(epoch, 8, 3, first=2.0, last=0.125) for epoch in range(8)]
    assert values == pytest.approx([2, 2, 2, 2, 1, 0.5, 0.25, 0.125])


@pytest.mark.parametrize("warmup", [4, 5, 9])
def test_a_search_too_short_to_cool_down_keeps_its_temperature(warmup):
    assert {optim.temperature_at(epoch, 5, warmup, first=2.0, last=0.5) for epoch in range(5)} == {2.0}


def test_pressure_rises_linearly_and_ends_in_infinity():
    values = [optim.pressure_at(epoch, 40, full=7.0) for epoch in range(40)]
    assert values[:11] == [0] * 11
    assert values[11:24] == pytest.approx([0.5 * step for step in range(1, 14)])
    assert values[24:] == [math.inf] * 16
    assert {optim.pressure_at(epoch, 40, full=0.0) for epoch in range(40)} == {0.0}


def test_the_least_number_of_epochs_is_the_first_that_ends_under_infinite_pressure():
    least = optim.epochs_to_become_pointwise()
    ends = [epochs for epochs in range(1, 10) if math.isinf(optim.pressure_at(epochs - 1, epochs, 8.0))]
    assert ends == list(range(least, 10))


def test_shares_under_pressure_minimise_the_penalty_under_the_entropy():
    torch.manual_seed(3)
    op = MixedOp(2, ("skip_connect", "conv_1x1", "conv_3x3", "avg_pool_3x3"))
    torch.nn.init.normal_(op.alphas)
    op.pressure.fill_(1.7)
    spatial = torch.tensor([0.0, 0.0, 1.0, 1.0])

    def objective(shares):
        return 1.7 * (shares * spatial).sum() - (op.alphas * shares).sum() + (shares * shares.log()).sum()

    best = op.op_weights.detach()
    for _ in range(50):
        other = (best.log() + 0.1 * torch.randn(4)).softmax(dim=0)
        assert objective(best) < objective(other)


@pytest.mark.parametrize("first_is_left_out", [False, True])
def test_a_warning_of_every_step_is_shown_once(first_is_left_out):
    parameter = torch.nn.Parameter(torch.zeros(1))
    scheduled = optim.ScheduledOptimizer(torch.optim.SGD([parameter], lr=1.0), lambda step: 0.5**step)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        for step in range(4):
            warnings.warn("of every step", stacklevel=1)
            parameter.grad = torch.ones(1)
            scheduled.step(update=step > 0 or not first_is_left_out)
    # The first step that is left out changes the filters once, so that Python shows again what it has shown.
    assert [str(one.message) for one in shown] == ["of every step"] * (2 if first_is_left_out else 1)
    assert (scheduled.steps, scheduled.last_rates) == (4, [0.125])
