"""Layers under a budget in an encoder."""

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapters.budget import cost
from naslora_core.sam.build import build_sam


@pytest.mark.parametrize("alphas", ["searched", "random"])
def test_fresh_layers_are_the_same_whatever_the_process_has_built_before(alphas, adapter, search):
    settings = search.model_copy(
        update={"budget": 1.3, "max_parameters": 0.3, "space": ("skip_connect", "image_conv_3x3"), "alphas": alphas}
    )
    found = []
    for remembered in (cost.is_exact, cost.multiplications, cost.operation_parameters):
        # As in a fresh process; the second time all is known.
        remembered.cache_clear()
    for _ in range(2):
        sam = build_sam("sam_tiny", 64)
        add_adapters(sam, adapter, settings, seed=5)
        found.append({name: value for name, value in sam.image_encoder.state_dict().items() if "lora_A" in name})
    assert found[0].keys() == found[1].keys() != set()
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
