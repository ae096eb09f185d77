"""The rounds of a search: limits are kept whatever turns out to be worth most."""

import pytest
import torch
from torch import nn

from naslora_core.adapters.budget.cost import InferenceCost, LayerCosts, Limits, spent
from naslora_core.adapters.budget.layer import ChoosingLayer, rank_levels
from naslora_core.adapters.budget.search import ROUNDS, BudgetSearch
from naslora_core.ops.spaces import SPACES

SPACE, LEVELS = SPACES["choices"], rank_levels(8)
NAMES = [f"blocks.{block}.mlp.lin1" for block in range(4)]


class Model(nn.Module):
    """Layers one after the other, on grids of 6x6 tokens, and a trained layer behind them, as SAM's decoder is."""

    def __init__(self, space: tuple[str, ...] = SPACE) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.ModuleDict(
            {name.replace(".", "_"): ChoosingLayer(nn.Linear(12, 12), 16, space, LEVELS, ("lin1",), None)
             for name in NAMES}
        )  # fmt: skip
        for layer in self.by_name().values():
            nn.init.normal_(layer.lora_B, std=0.2)
        self.decoder = nn.Linear(12, 12)

    def by_name(self) -> dict[str, ChoosingLayer]:
        return {name: layer for name, layer in zip(NAMES, self.layers.values(), strict=True)
                if isinstance(layer, ChoosingLayer)}  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers.values():
            x = torch.tanh(layer(x))
        decoded: torch.Tensor = self.decoder(x)
        return decoded


def test_layers_without_ranks_scale_singular_values_where_the_space_has_them_and_the_limit_counts_them():
    space = (*SPACE, "singular_values")
    model = Model(space)
    images = torch.randn(2, 6, 6, 12)
    search = hold_rounds(model, Limits(0.0, 250), images, torch.randn(2, 6, 6, 12), space)
    chosen = {name: layer.choice for name, layer in model.by_name().items()}
    assert {choice.operation for choice in chosen.values()} == {"skip_connect", "singular_values"}
    assert spent(chosen, search._costs).parameters <= 250


def hold_rounds(
    model: Model, limits: Limits, images: torch.Tensor, wanted: torch.Tensor, space: tuple[str, ...] = SPACE
) -> BudgetSearch:
    costs = {name: LayerCosts(InferenceCost(1e8, 36), 12, 12, ("lin1",), space, LEVELS) for name in NAMES}
    search = BudgetSearch(model.by_name(), costs, limits)
    search.plan(100)
    search.look([lambda: (model(images) - wanted).square().mean()], lambda loss, _: float(loss))
    for step in range(1, 101):
        search.after_step(step)
        assert search.is_settled == (step >= ROUNDS[-1] * 100)
    return search


@pytest.mark.parametrize("parameters", [150.0, 600.0, 900.0, float("inf")])
@pytest.mark.parametrize("time", [0.0, 0.08, 0.15, 1.0])
def test_both_limits_are_kept(time, parameters):
    model, images = Model(), torch.randn(2, 6, 6, 12)
    limits = Limits(time, parameters)
    search = hold_rounds(model, limits, images, torch.randn(2, 6, 6, 12))
    chosen = {name: layer.choice for name, layer in model.by_name().items()}
    cost = spent(chosen, search._costs)
    assert cost.time <= limits.time
    assert cost.parameters <= limits.parameters
    assert cost.parameters > 0 or parameters == 150


def test_the_layer_that_needs_its_neighbours_keeps_them():
    model, images = Model(), torch.randn(2, 6, 6, 12)
    layer = model.by_name()[NAMES[2]]
    with torch.no_grad():
        for op in layer.op.candidates[1:]:
            op.get_parameter("weight").mul_(0).add_(0.4 * torch.randn(op.get_parameter("weight").shape))
    search = hold_rounds(model, Limits(0.08, float("inf")), images, model(images).detach())
    operations = {name: layer.choice.operation for name, layer in model.by_name().items()}
    assert [name for name, operation in operations.items() if operation != "skip_connect"] == [NAMES[2]]
    assert max(search.worth, key=search.worth.__getitem__) == NAMES[2]
