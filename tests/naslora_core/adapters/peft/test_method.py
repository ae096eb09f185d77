import copy
from functools import partial

import pytest
import torch
from torch import nn

from naslora_core.adapters import find_method
from naslora_core.errors import ConfigError, InjectionError, MergeError

pytest.importorskip("peft")

# Every family that the comparison names, at a size that fits the layers below.
FAMILIES = {
    "dora": ("peft:lora", {"use_dora": True}),
    "rslora": ("peft:lora", {"use_rslora": True}),
    "pissa": ("peft:lora", {"init_lora_weights": "pissa"}),
    "eva": ("peft:lora", {"init_lora_weights": "eva"}),
    "loraga": ("peft:lora", {"init_lora_weights": "lora_ga"}),
    "adalora": ("peft:adalora", {}),
    "randlora": ("peft:randlora", {}),
    "shira": ("peft:shira", {}),
    "miss": ("peft:miss", {}),
    "lokr": ("peft:lokr", {}),
    "vera": ("peft:vera", {}),
    "fourierft": ("peft:fourierft", {"n_frequency": 20, "init_weights": True}),
    "waveft": ("peft:waveft", {"n_frequency": 20}),
    "hra": ("peft:hra", {}),
    "boft": ("peft:boft", {"boft_block_size": 4}),
}


class Blocks(nn.Module):
    """Two blocks with a layer of the same name, as an encoder has them; channels-last."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.ModuleDict({"qkv": nn.Linear(16, 48)}) for _ in range(2))

    def forward(self, x):
        for block in self.blocks:
            x = block["qkv"](x)[..., :16]
        return x


def prepared(adapter, search, family):
    method, options = FAMILIES[family]
    torch.manual_seed(3)
    encoder = Blocks().requires_grad_(False)
    base = copy.deepcopy(encoder)
    changed = adapter.model_copy(update={"method": method, "options": options, "target_modules": ("qkv",)})
    return base, encoder, find_method(method)(encoder, changed, search)


def probe(encoder):
    return (encoder(torch.randn(2, 3, 3, 16)) - 1).square().mean()


def move(encoder, callback=None):
    """Take two steps, and return whether any parameter that learns has moved."""
    learning = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=0.02)
    before = [parameter.clone() for parameter in learning]
    for step in (1, 2):
        optimizer.zero_grad()
        probe(encoder).backward()
        optimizer.step()
        if callback is not None:
            callback.after_step(step)
    assert learning
    return any(not torch.equal(old, new) for old, new in zip(before, learning, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_starts_as_its_base_learns_merges_and_survives_its_state(adapter, search, family):
    base, encoder, adapters = prepared(adapter, search, family)
    callback = next(iter(adapters.values())).callback
    if callback is not None:
        callback.plan(2)
        callback.prepare([partial(probe, encoder)] * 2)
    x = torch.randn(2, 3, 3, 16)
    torch.testing.assert_close(encoder(x), base(x), rtol=1e-4, atol=1e-5)
    frozen = [layer["qkv"].base_layer.weight.clone() for layer in encoder.blocks]
    assert move(encoder, callback)
    encoder.eval()
    with torch.no_grad():
        wanted = encoder(x)
        assert (wanted - base(x)).abs().max() > 1e-4
        for name, layer in adapters.items():
            plain = base.get_submodule(name)
            plain.weight += layer.delta_weight()
            plain.bias += layer.delta_bias()
        torch.testing.assert_close(base(x), wanted, rtol=1e-4, atol=1e-5)
    assert all(
        torch.equal(old, layer["qkv"].base_layer.weight) for old, layer in zip(frozen, encoder.blocks, strict=True)
    )
    _, again, fresh = prepared(adapter, search, family)
    for name, layer in fresh.items():
        result = layer.load_state_dict(adapters[name].own_state(), strict=False)
        assert not result.unexpected_keys
        assert all("base_layer" in key for key in result.missing_keys)
    assert torch.equal(again.eval()(x), wanted)


def test_only_a_changed_base_is_saved_with_its_adapter(adapter, search):
    _, _, pissa = prepared(adapter, search, "pissa")
    _, _, dora = prepared(adapter, search, "dora")
    assert "tuner.base_layer.weight" in pissa["blocks.0.qkv"].own_state()
    assert not [key for key in dora["blocks.0.qkv"].own_state() if "base_layer" in key]


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("peft:nothing", {}, "peft:nothing is no method of the installed PEFT; known:.*lora"),
        ("peft:lora", {"init_lora_weights": "corda"}, "with corda: PEFT can place its layers only where"),
        ("peft:lora", {"init_lora_weights": "eva", "eva_config": {"rho": 2}}, "rho 2 moves ranks between layers"),
        ("peft:adalora", {"total_step": 9}, "total_step 9 of peft:adalora is the length of the training"),
        ("peft:adalora", {"init_r": 4}, "starts with rank 4 and ends with 4 on average"),
        ("peft:lora", {"colour": 3}, "PEFT refuses peft:lora with adapter.options .*colour"),
        ("peft:prefix_tuning", {}, "no method of the installed PEFT|PEFT refuses peft:prefix_tuning"),
        ("lora:dora", {}, "unknown adapter method 'lora:dora'; known: bitfit, conv_lora"),
    ],
)
def test_what_cannot_work_says_so_and_changes_nothing(adapter, search, method, options, message):
    encoder = Blocks()
    keys = list(encoder.state_dict())
    changed = adapter.model_copy(update={"method": method, "options": options, "target_modules": ("qkv",)})
    with pytest.raises(ConfigError, match=message):
        find_method(method)(encoder, changed, search)
    assert list(encoder.state_dict()) == keys


def test_a_target_that_matches_nothing_is_refused(adapter, search):
    changed = adapter.model_copy(update={"method": "peft:lora", "target_modules": ("key",)})
    with pytest.raises(InjectionError, match="match no layer"):
        find_method("peft:lora")(Blocks(), changed, search)


def test_what_peft_cannot_merge_is_an_error_of_ours(adapter, search, monkeypatch):
    _, _, adapters = prepared(adapter, search, "dora")
    layer = adapters["blocks.0.qkv"]
    monkeypatch.setattr(type(layer.tuner), "merge", lambda self, **_: (_ for _ in ()).throw(NotImplementedError("no")))
    with pytest.raises(MergeError, match="PEFT cannot merge lora: no"):
        layer.delta_weight()
