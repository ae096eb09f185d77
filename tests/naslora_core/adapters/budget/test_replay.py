"""Passes that leave out what lies before a change: the same numbers from less work."""

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapters.base import callbacks_of
from naslora_core.adapters.budget.layer import ChoosingLayer
from naslora_core.adapters.budget.replay import Replay, blocks_of
from naslora_core.adapters.budget.search import BudgetSearch
from naslora_core.sam.build import build_sam

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
WANTED = torch.randn(2, 128, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def make(adapter, search):
    """Return a function that gives an encoder and its search, the same each time."""

    def build():
        torch.manual_seed(1)
        settings = search.model_copy(update={"budget": 1.5, "max_parameters": 0.6, "space": "choices"})
        sam = build_sam("sam_tiny", 64)
        wide = adapter.model_copy(update={"rank": 4, "target_modules": ("attn.qkv", "mlp.lin1")})
        adapters = add_adapters(sam, wide, settings, seed=5)
        for layer in adapters.values():
            assert isinstance(layer, ChoosingLayer)
            torch.nn.init.normal_(layer.lora_B, std=0.3)
        (callback,) = callbacks_of(adapters.values())
        assert isinstance(callback, BudgetSearch)
        return sam.image_encoder, callback

    return build


def losses(encoder, callback: BudgetSearch) -> tuple[list[float], list[int]]:
    """Return what is measured in the first round, and how often each block ran."""
    ran = [0] * len(encoder.blocks)

    def count(place: int):
        def hook(module, inputs, output) -> None:
            ran[place] += 1

        return hook

    hooks = [block.norm1.register_forward_hook(count(place)) for place, block in enumerate(encoder.blocks)]
    callback.plan(10)
    callback.look([lambda: (encoder(IMAGES) * WANTED).sum()], lambda loss, _: float(loss))
    callback.after_step(2)
    for hook in hooks:
        hook.remove()
    return list(callback.worth.values()), ran


def test_a_round_measures_the_same_with_and_without_the_blocks_before_a_layer(make, monkeypatch):
    quick, fewer = losses(*make())
    encoder, callback = make()
    monkeypatch.setattr(callback, "_blocks", {})
    slow, all_of_them = losses(encoder, callback)
    assert quick == slow
    assert len(set(slow)) > 8
    # Forward passes for the ranks and for the layers as they are run everything.
    assert fewer[-1] == all_of_them[-1] == all_of_them[0]
    assert fewer[0] < fewer[3] < fewer[-1]


def test_a_block_is_itself_again_after_a_pass_that_left_it_out(make):
    encoder, callback = make()
    blocks = blocks_of(encoder, dict.fromkeys(callback._layers))
    replay = Replay(blocks)
    with torch.no_grad(), replay.recording():
        whole = encoder(IMAGES)
    with torch.no_grad(), replay.before(encoder.blocks[4]):
        # Of other images: what was recorded is taken all the same.
        assert torch.equal(encoder(1 - IMAGES), whole)
    with torch.no_grad():
        assert not torch.allclose(encoder(1 - IMAGES), whole)
        assert torch.equal(encoder(IMAGES), whole)


def test_layers_outside_of_numbered_blocks_have_none():
    layers = {"blocks.3.mlp.lin1": None, "neck.0": None}
    encoder = build_sam("sam_tiny", 64).image_encoder
    assert blocks_of(encoder, layers) == {"blocks.3.mlp.lin1": encoder.blocks[3]}
