"""`merge.mode: auto` decides layer by layer: exact, calibrated, or folded where the Dice needs it."""

import math
from collections.abc import Callable

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.state import find_adapters
from naslora_core.adapters.nas_lora import NASLoRALayer
from naslora_core.cell import Cell, MixedOp
from naslora_core.config import AdapterConfig, MergeConfig, SearchConfig
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import MergeError
from naslora_core.merge import choose as choosing
from naslora_core.merge.by_layer import count_modes
from naslora_core.merge.choose import Choice, choose
from naslora_core.merge.context import MergeContext
from naslora_core.merge.folded_linear import folded_layers
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter

SIDE = 64
NAMES = [f"image_encoder.blocks.{block}.attn.qkv" for block in range(8)]
# Of the eight layers the first three are pointwise, as a search under pressure leaves them.
POINTWISE, SPATIAL = NAMES[:3], NAMES[3:]
# Its branch is made large, so that it matters most whether it is calibrated.
LOUD = NAMES[5]

Scripted = Callable[[Callable[[int], float]], list[int]]


@pytest.fixture
def sam(adapter: AdapterConfig, search: SearchConfig) -> Sam:
    torch.manual_seed(13)
    sam = build_sam("sam_tiny", SIDE)
    for name, layer in add_adapters(sam, adapter, search, seed=1).items():
        torch.nn.init.normal_(layer.lora_B, std=0.5 if name == LOUD else 0.05)
        for mixture in layer.mixed_ops().values():
            torch.nn.init.normal_(mixture.alphas)
            mixture.set_time(temperature=1, pressure=math.inf if name in POINTWISE else 0)
    return sam.eval()


@pytest.fixture
def data(prepared: PreparedData) -> PreparedData:
    sizes = [(height // 4, width // 4) for height, width in prepared.input_sizes]
    return PreparedData(prepared.images[:, ::4, ::4], prepared.masks[:, ::4, ::4], sizes, sizes, prepared.names)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Return a function that makes Dice depend on how many layers are folded; adapted models have 0.8."""

    def script(dice: Callable[[int], float]) -> list[int]:
        measured = []

        def measure(segmenter: PromptFreeSegmenter, *_: object) -> float:
            if find_adapters(segmenter.sam):
                return 0.8
            measured.append(len(folded_layers(segmenter.sam.state_dict())))
            return dice(measured[-1])

        monkeypatch.setattr(choosing, "mean_dice", measure)
        return measured

    return script


def merge(sam: Sam, data: PreparedData, mode: str = "auto", drop: float = 0.01) -> Choice:
    config = MergeConfig(mode=mode, max_metric_drop=drop, calibration_images=4, ridge=0.001)
    return choose(sam, data, MergeContext(data, config))


def modes(choice: Choice) -> dict[str, str]:
    return {layer.layer: layer.merge for layer in choice.merged.layers}


@torch.no_grad()
def logits(sam: Sam) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return PromptFreeSegmenter(sam)(torch.randint(0, 256, (2, 3, SIDE, SIDE), generator=generator))


def keep_all_pointwise(sam: Sam) -> None:
    for adapter in find_adapters(sam).values():
        adapter.mixed_ops()["0_1"].set_time(temperature=1, pressure=math.inf)


def test_pointwise_layers_are_exact_and_the_others_calibrated_where_that_is_allowed(sam, data):
    choice = merge(sam, data, drop=1)
    assert modes(choice) == dict.fromkeys(POINTWISE, "exact") | dict.fromkeys(SPATIAL, "calibrated")
    assert choice.mode == "mixed"
    assert choice.reason.startswith("mixed (3 exact, 5 calibrated) costs least")
    assert list(choice.merged.sam.state_dict()) == list(build_sam("sam_tiny", SIDE).state_dict())
    adapters = find_adapters(sam)
    assert list(choice.merged.factors) == NAMES
    for name, update in choice.merged.factors.items():
        weight = choice.merged.sam.get_submodule(name).weight
        torch.testing.assert_close(weight, adapters[name].base_layer.weight + update.delta_weight().float())
        if name in POINTWISE:
            torch.testing.assert_close(update.delta_weight().float(), adapters[name].delta_weight())
    unexplained = {layer.layer: layer.unexplained for layer in choice.merged.layers}
    assert all(unexplained[name] is None for name in POINTWISE)
    assert all(0 < unexplained[name] < 1 for name in SPATIAL)


def test_as_few_layers_are_folded_as_the_dice_needs_those_that_matter_first(sam, data, scripted):
    measured = scripted(lambda folded: 0.8 if folded >= 2 else 0.75)
    choice = merge(sam, data)
    # All calibrated; then half of five, and half of that.
    assert measured == [0, 2, 1]
    assert count_modes(choice.merged.layers) == {"exact": 3, "calibrated": 3, "fold": 2}
    effects = {layer.layer: layer.effect for layer in choice.merged.layers if layer.effect is not None}
    assert set(effects) == set(SPATIAL)
    assert max(effects, key=effects.__getitem__) == LOUD
    folded = {name for name, mode in modes(choice).items() if mode == "fold"}
    assert folded == set(sorted(effects, key=effects.__getitem__)[-2:])
    assert choice.merged.factors == {}
    neck = choice.merged.sam.image_encoder.neck.state_dict()
    assert all(torch.equal(neck[key], value) for key, value in sam.image_encoder.neck.state_dict().items())
    said = [(attempt.mode, attempt.passed) for attempt in choice.attempts]
    assert said == [("exact", False), ("mixed", False), ("mixed", False), ("mixed", True)]
    assert choice.attempts[-1].layers == {"exact": 3, "calibrated": 3, "fold": 2}
    assert "mixed (3 exact, 4 calibrated, 1 folded) would lose 0.0500" in choice.reason
    again = merge(sam, data).merged.sam.state_dict()
    assert all(torch.equal(again[key], value) for key, value in choice.merged.sam.state_dict().items())


def test_where_calibration_always_costs_too_much_all_are_folded_and_nothing_is_lost(sam, data, scripted):
    measured = scripted(lambda folded: 0.8 if folded == 5 else 0.75)
    choice = merge(sam, data)
    assert measured == [0, 2, 3, 4, 5]
    assert modes(choice) == dict.fromkeys(POINTWISE, "exact") | dict.fromkeys(SPATIAL, "fold")
    assert (logits(choice.merged.sam) - logits(sam)).abs().max() < 1e-4


def test_layers_that_are_all_pointwise_give_a_stock_checkpoint_of_the_same_logits(sam, data):
    keep_all_pointwise(sam)
    choice = merge(sam, data, drop=0.001)
    assert choice.mode == "exact"
    assert [attempt.mode for attempt in choice.attempts] == ["exact"]
    assert list(choice.merged.sam.state_dict()) == list(build_sam("sam_tiny", SIDE).state_dict())
    assert (logits(choice.merged.sam) - logits(sam)).abs().max() < 1e-4


def test_a_layer_that_cannot_be_folded_is_calibrated(sam, data, scripted):
    base = find_adapters(sam)[LOUD].base_layer
    pooling = NASLoRALayer(base, 4, 8, Cell(1, lambda: MixedOp(4, ("skip_connect", "max_pool_3x3"))))
    torch.nn.init.normal_(pooling.lora_B)
    sam.set_submodule(LOUD, pooling)
    scripted(lambda folded: 0.8 if folded == 4 else 0.75)
    choice = merge(sam, data)
    assert count_modes(choice.merged.layers) == {"exact": 3, "calibrated": 1, "fold": 4}
    assert modes(choice)[LOUD] == "calibrated"


def test_auto_refuses_when_even_folding_all_loses_too_much(sam, data, scripted):
    scripted(lambda folded: 0.7 + 0.01 * folded)
    wanted = (
        r"exact is impossible, mixed \(3 exact, 5 calibrated\) would lose 0.1000, .*mixed \(3 exact, 5 folded\) would"
    )
    with pytest.raises(MergeError, match=wanted + r" lose 0.0500\. Allow a larger drop"):
        merge(sam, data)


def test_a_named_merge_treats_all_layers_alike_and_says_so(sam, data, scripted):
    scripted(lambda _: 0.8)
    calibrated, folded = merge(sam, data, "calibrated"), merge(sam, data, "fold")
    assert modes(calibrated) == dict.fromkeys(NAMES, "calibrated")
    assert modes(folded) == dict.fromkeys(POINTWISE, "exact") | dict.fromkeys(SPATIAL, "fold")
    assert (calibrated.mode, folded.mode) == ("calibrated", "fold")


def test_a_named_merge_that_loses_too_much_or_is_impossible_is_refused(sam, data, scripted):
    scripted(lambda _: 0.75)
    with pytest.raises(MergeError, match=r"merge.mode fold lowers validation Dice from 0.8000 to 0.7500"):
        merge(sam, data, "fold")
    with pytest.raises(MergeError, match="5x5 convolution does not fit into a linear layer's weight"):
        merge(sam, data, "exact")
