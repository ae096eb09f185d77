"""A small MobileSAM is trained, merged in every way, and predicts."""

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapters.budget.architecture import LayerChoice, sections_of
from naslora_core.config import MergeConfig, ModelConfig
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.geometry.windows import Windows
from naslora_core.merge.certificate import certify
from naslora_core.merge.choose import choose
from naslora_core.merge.context import MergeContext
from naslora_core.merge.fitting.moments import input_of
from naslora_core.merge.fold import fold
from naslora_core.merge.merged import save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import save_weights
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.phases import AlternatingPhases
from tests.naslora_core.sam.families.test_mobile_sam import move

pytest.importorskip("timm", reason="timm comes with the extras dev and hf")

# Its attention, its MLPs, and the convolutions of single pixels that its blocks and mergings have.
TARGETS = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2", "conv1.linear", "conv3.linear")


@pytest.fixture
def model(tmp_path) -> ModelConfig:
    path = tmp_path / "mobile_sam_mini.safetensors"
    save_weights(path, move(build_sam("mobile_sam_mini")).state_dict(), {})
    return ModelConfig(name="mobile_sam_mini", checkpoint=path, image_size=64, precision="fp32")


@pytest.fixture
def little(prepared) -> PreparedData:
    """The prepared images at a quarter of their side."""
    sizes = [(height // 4, width // 4) for height, width in prepared.input_sizes]
    images, masks = prepared.images[:, ::4, ::4], prepared.masks[:, ::4, ::4]
    return PreparedData(images, masks, sizes, sizes, prepared.names)


@pytest.mark.parametrize(("space", "modes"), [("linear", ["fold", "calibrated"]), (["conv_1x1"], ["exact"])])
def test_a_model_trains_and_merges_and_predicts(space, modes, model, adapter, search, train, little, tmp_path):
    sam = load_base(model)
    adapter = adapter.model_copy(update={"target_modules": TARGETS})
    adapters = add_adapters(sam, adapter, search.model_copy(update={"space": space}), seed=3)
    assert {name.rpartition(".blocks.0.")[2].rpartition(".downsample.")[2] for name in adapters} == set(TARGETS)
    segmenter = PromptFreeSegmenter(sam)
    before = {name: value.clone() for name, value in sam.state_dict().items()}
    phases = AlternatingPhases(segmenter, adapters, little, train, search, "fp32", 3)
    assert len(SearchAndTrain(phases, little).run().epochs) == 2
    changed = {name for name, value in sam.state_dict().items() if not torch.equal(value, before[name])}
    assert all(".lora_" in name or ".cell." in name for name in changed if name.startswith("image_encoder."))
    assert {f"{name}.lora_B" for name in adapters} <= changed
    for layer in adapters.values():
        torch.nn.init.normal_(layer.lora_B, std=0.02)
    expected = Predictor(sam, "fp32", "cpu").logits(list(little.images))
    for mode in modes:
        # A calibrated merge may lose what it loses: this asks whether it can be made and loaded.
        config = MergeConfig(mode=mode, max_metric_drop=1, calibration_images=4, ridge=0.001)
        choice = choose(sam, little, MergeContext(little, config))
        certificate = certify(choice, load_base(model), sam, little, max_metric_drop=1)
        assert certificate.passed
        folder = tmp_path / mode
        folder.mkdir()
        save_merged(folder, choice.merged, model.name, mode, {})
        found = Predictor.merged(folder, "fp32", "cpu").logits(list(little.images))
        difference = max(float(abs(a - b).max()) for a, b in zip(found, expected, strict=True))
        assert difference <= certificate.max_logit_difference + 1e-5
        in_memory = Predictor(choice.merged.sam, "fp32", "cpu").logits(list(little.images))
        assert all(abs(a - b).max() < 1e-5 for a, b in zip(found, in_memory, strict=True))
        if mode != "calibrated":
            assert difference < 1e-4
            assert certificate.mask_agreement > 0.999


@pytest.mark.parametrize("side", [96, 128])
@pytest.mark.parametrize("operation", ["image_conv_3x3", "dct_filter"])
def test_operations_see_the_bias_of_the_norm_in_the_padding_of_windows_and_so_does_their_merge(
    operation, side, adapter, search
):
    sam = move(build_sam("mobile_sam_mini", side)).eval()
    encoder = sam.image_encoder
    layers = [layer for layer, _ in encoder.named_modules() if layer.endswith(encoder.default_targets)]
    ranks = {layer: dict.fromkeys(sections_of(layer), 2) for layer in layers}
    choices = {layer: LayerChoice(operation=operation, ranks=ranks[layer]) for layer in layers}
    images = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    base = PromptFreeSegmenter(sam)(images)
    adapters = add_adapters(sam, adapter, search, 0, choices)
    for layer in adapters.values():
        torch.nn.init.normal_(layer.lora_B, std=0.2)
    # Windows of seven on a grid of six or eight tokens.
    name = "image_encoder.stages.2.blocks.0.attn.qkv"
    windows = torch.nn.functional.pad(torch.ones(side // 16, side // 16), (0, -(side // 16) % 7, 0, -(side // 16) % 7))
    seen = input_of(adapters[name], PromptFreeSegmenter(sam), images).detach()
    across = len(windows) // 7
    grids = Windows(7, across).join(seen)
    bias = sam.get_submodule(name.replace("qkv", "norm")).bias
    padding = grids[:, windows == 0]
    torch.testing.assert_close(padding, bias.expand_as(padding))
    adapted = PromptFreeSegmenter(sam)(images)
    assert (adapted - base).std() > 0.01 * base.std()
    torch.testing.assert_close(PromptFreeSegmenter(fold(sam).sam)(images), adapted, rtol=0, atol=1e-4)
