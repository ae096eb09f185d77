import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.state import find_adapters
from naslora_core.errors import MergeError
from naslora_core.merge.exact import exact
from naslora_core.merge.fold import fold
from naslora_core.sam.build import build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter

POINTWISE = ("none", "skip_connect", "conv_1x1")


@pytest.fixture
def make_adapted(adapter, search):
    """Return a function that builds a sam_tiny whose adapters and alphas left their neutral start."""

    def make(method="nas_lora", **settings):
        torch.manual_seed(13)
        sam = build_sam("sam_tiny")
        adapters = add_adapters(
            sam, adapter.model_copy(update={"method": method}), search.model_copy(update=settings), seed=1
        )
        for layer in adapters.values():
            torch.nn.init.normal_(layer.lora_B, std=0.1)
            for parameter in layer.arch_parameters():
                torch.nn.init.normal_(parameter)
        return sam

    return make


def logits(sam, images):
    with torch.no_grad():
        return PromptFreeSegmenter(sam)(images)


@pytest.mark.parametrize(
    ("method", "nodes"), [("nas_lora", 1), ("nas_lora", 2), ("nas_pc_lora", 1), ("nas_pc_lora", 2), ("lora", 1)]
)
@pytest.mark.parametrize(("merge", "space"), [(exact, POINTWISE), (fold, "linear")])
def test_exact_and_fold_change_no_logit_by_more_than_rounding(make_adapted, images, merge, space, method, nodes):
    sam = make_adapted(method, space=space, nodes=nodes)
    adapted, merged = logits(sam, images), logits(merge(sam).sam, images)
    with torch.no_grad():
        for layer in find_adapters(sam).values():
            layer.lora_B.zero_()
    assert (adapted - logits(sam, images)).abs().max() > 1e-3
    assert (adapted - merged).abs().max() <= 1e-4


@pytest.mark.parametrize("merge", [exact, fold])
def test_a_merge_leaves_the_adapted_model_alone(make_adapted, merge):
    sam = make_adapted(space=POINTWISE, share_alphas=True)
    before = {key: value.clone() for key, value in sam.state_dict().items()}
    trainable = [parameter.requires_grad for parameter in sam.parameters()]
    merged = merge(sam).sam
    assert find_adapters(sam)
    assert not find_adapters(merged)
    with torch.no_grad():
        for parameter in merged.parameters():
            parameter.fill_(7)
    assert all(torch.equal(before[key], value) for key, value in sam.state_dict().items())
    assert [parameter.requires_grad for parameter in sam.parameters()] == trainable


def test_an_exact_merge_has_upstreams_keys_and_its_factors_make_the_update(make_adapted):
    sam = make_adapted(space=POINTWISE, nodes=2)
    merged = exact(sam)
    assert list(merged.sam.state_dict()) == list(build_sam("sam_tiny").state_dict())
    for name, adapter in find_adapters(sam).items():
        update = merged.factors[name]
        assert update.down.shape == adapter.lora_A.shape
        torch.testing.assert_close(update.delta_weight().float(), adapter.delta_weight(), rtol=1e-4, atol=1e-6)
        weight = merged.sam.get_submodule(name).weight
        torch.testing.assert_close(weight, adapter.base_layer.weight + (update.up @ update.down).float())


def test_exact_refuses_a_cell_that_looks_at_neighbours(make_adapted):
    with pytest.raises(MergeError, match="5x5 convolution does not fit .* fold or calibrated"):
        exact(make_adapted())


def test_exact_merges_a_spatial_space_once_pressure_has_removed_it(make_adapted, images):
    sam = make_adapted()
    for adapter in find_adapters(sam).values():
        for mixture in adapter.mixed_ops().values():
            mixture.set_time(temperature=1, pressure=float("inf"))
    assert (logits(sam, images) - logits(exact(sam).sam, images)).abs().max() <= 1e-4


def test_without_adapters_exact_copies_the_model(images):
    sam = build_sam("sam_tiny")
    merged = exact(sam)
    assert merged.factors == {}
    assert torch.equal(logits(sam, images), logits(merged.sam, images))
