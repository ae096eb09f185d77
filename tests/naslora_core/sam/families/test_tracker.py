"""SAM 2 and SAM 3 give what transformers' own modules give, and what the method asks of every family."""

import sys

import pytest
import torch
from torch import nn

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapters.budget.architecture import LayerChoice, sections_of
from naslora_core.config import MergeConfig
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import ConfigError
from naslora_core.merge.certificate import certify
from naslora_core.merge.choose import choose
from naslora_core.merge.context import MergeContext
from naslora_core.merge.fold import fold
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam, normalise
from naslora_core.sam.classes import set_class_count
from naslora_core.sam.detail import add_detail_path
from naslora_core.sam.families.tracker import require_transformers
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.specs import MODEL_SPECS, find_spec
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.phases import AlternatingPhases

transformers = pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")

MINIATURES = {"sam2_mini": "Sam2Model", "sam3_mini": "Sam3TrackerModel"}


@torch.no_grad()
def moved(module: nn.Module) -> nn.Module:
    """Move every weight, so that none is zero or one as packages initialise them."""
    generator = torch.Generator().manual_seed(5)
    for parameter in module.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return module


@pytest.fixture(params=MINIATURES)
def name(request):
    return request.param


@pytest.fixture
def sam(name):
    torch.manual_seed(2)
    return moved(build_sam(name))


def images_for(sam, count=2):
    side = sam.image_encoder.img_size
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


@torch.no_grad()
def theirs(name, sam, pixels):
    """Embeddings, finer features, masks and quality by transformers' model with the same weights."""
    family = sys.modules[type(sam).__module__]
    model = getattr(transformers, MINIATURES[name])(family.hf_config(find_spec(name, sam.image_encoder.img_size)))
    renamed = {key.replace("image_encoder.", "vision_encoder."): value for key, value in sam.state_dict().items()}
    model.load_state_dict(renamed)
    finest, finer, embeddings = model.eval().get_image_embeddings(pixels)
    batch, channels, height, width = embeddings.shape
    prompt = model.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1)
    masks, quality, _, _ = model.mask_decoder(
        image_embeddings=embeddings,
        image_positional_embeddings=model.get_image_wide_positional_embeddings().repeat(batch, 1, 1, 1),
        sparse_prompt_embeddings=torch.zeros(batch, 1, 0, channels),
        dense_prompt_embeddings=prompt.expand(batch, -1, height, width),
        multimask_output=True,
        high_resolution_features=[finest, finer],
    )
    return (embeddings, finer, finest), masks[:, 0], quality[:, 0]


@pytest.mark.parametrize("steps", [2, 4, 5])
def test_features_and_masks_are_those_of_transformers(name, steps):
    torch.manual_seed(2)
    sam = moved(build_sam(name, steps * MODEL_SPECS[name].multiple_of))
    pixels = normalise(sam, images_for(sam))
    with torch.no_grad():
        features = sam.encode(pixels)
        masks, quality = sam.predict_masks(features)
    expected, three_masks, three_qualities = theirs(name, sam, pixels)
    # SAM's own mask comes first, and transformers gives the other three.
    assert masks.std() > 1e-2
    for ours, wanted in zip(
        (*features, masks[:, 1:], quality[:, 1:]), (*expected, three_masks, three_qualities), strict=True
    ):
        torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-5)


def test_a_layer_sees_the_grid_that_is_said_of_it(sam):
    encoder, seen = sam.image_encoder, {}
    for layer, module in encoder.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs, layer=layer: seen.update({layer: inputs[0].shape}))
    encoder(normalise(sam, images_for(sam)))
    said = {layer: encoder.grid_of(layer) for layer in seen}
    for layer, grid in said.items():
        side = grid.window or grid.side
        assert tuple(seen[layer][:3]) == (2 * grid.across**2, side, side), layer
    assert {bool(grid.window) for grid in said.values()} == {True, False}
    # Windows that the grid is no multiple of.
    assert any(grid.window and grid.side % grid.window for grid in said.values())


def test_multiplications_are_those_of_linear_layers_convolutions_and_attention(sam):
    encoder, counted = sam.image_encoder, []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            counted.append(output.numel() * layer.weight[0].numel())
        elif isinstance(layer, nn.ConvTranspose2d):
            counted.append(inputs[0].numel() * layer.weight[0].numel())

    hooks = [module.register_forward_hook(count) for module in encoder.modules()]
    encoder(normalise(sam, images_for(sam, 1)))
    for hook in hooks:
        hook.remove()
    for name, layer in encoder.named_modules():
        # An attention's last layer has a token for every query, the first one for every key.
        if name.endswith(("attn.proj", "attention.o_proj")):
            queries = encoder.grid_of(name)
            first = name.replace("attn.proj", "attn.qkv").replace("o_proj", "k_proj")
            keys = encoder.grid_of(first)
            tokens = (queries.across * (queries.window or queries.side)) ** 2
            counted.append(2 * tokens * (keys.window or keys.side) ** 2 * layer.in_features)
            if first.endswith("qkv"):
                # transformers multiplies heads with heads, too, and uses nothing of it.
                heads = encoder.get_submodule(first.removesuffix(".qkv")).num_attention_heads
                counted.append((keys.across * (keys.window or keys.side)) ** 2 * heads * layer.in_features)
    assert encoder.multiplications() == sum(counted)


def test_gradient_checkpointing_changes_nothing_but_memory(sam):
    gradients = []
    for recompute in (False, True):
        sam.image_encoder.gradient_checkpointing = recompute
        sam.zero_grad()
        PromptFreeSegmenter(sam).train()(images_for(sam, 1)).square().mean().backward()
        gradients.append([p.grad.clone() for p in sam.parameters() if p.grad is not None])
    assert len(gradients[0]) > 100
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


@pytest.mark.parametrize("detail", ["half", "full"])
def test_a_detail_path_starts_with_the_masks_enlarged(sam, detail):
    images, segmenter = images_for(sam), PromptFreeSegmenter(sam).eval()
    with torch.no_grad():
        plain = segmenter(images)
        add_detail_path(sam, detail)
        fine = segmenter(images)
    side = sam.image_encoder.img_size // (2 if detail == "half" else 1)
    assert fine.shape[-2:] == (side, side)
    enlarged = nn.functional.interpolate(plain, (side, side), mode="bilinear")
    # SAM 3's features are resized before they become masks, so that only what is linear in them is equal.
    torch.testing.assert_close(fine, enlarged, rtol=0, atol=1e-5 if plain.shape[-1] * 4 == images.shape[-1] else 0.1)


def test_several_classes_start_from_the_single_mask(sam):
    images, segmenter = images_for(sam), PromptFreeSegmenter(sam).eval()
    with torch.no_grad():
        one = segmenter(images)
        set_class_count(sam, 3)
        three = segmenter(images)
    assert three.shape[1] == 3
    # Mask tokens attend to each other, so that other tokens beside it change the first mask a little.
    assert (three - one).std() < 0.3 * one.std()
    assert not torch.equal(three[:, 0], three[:, 1])


@pytest.fixture
def little(prepared, sam) -> PreparedData:
    """The prepared images cut and shrunk to what a miniature sees."""
    side = sam.image_encoder.img_size
    images, masks = (values[:, : 2 * side : 2, : 2 * side : 2] for values in (prepared.images, prepared.masks))
    sizes = [(min(height // 2, side), side) for height, _ in prepared.input_sizes]
    return PreparedData(images, masks, sizes, sizes, prepared.names)


@pytest.mark.parametrize("space", ["linear", ["skip_connect", "conv_1x1"]])
def test_a_trained_model_merges_in_all_modes_and_predicts(name, sam, little, adapter, search, train, space, tmp_path):
    everywhere = adapter.model_copy(update={"target_modules": "auto"})
    adapters = add_adapters(sam, everywhere, search.model_copy(update={"space": space}), seed=3)
    assert len(adapters) == sum(
        layer.endswith(sam.image_encoder.default_targets) for layer, _ in build_sam(name).image_encoder.named_modules()
    )
    phases = AlternatingPhases(PromptFreeSegmenter(sam), adapters, little, train, search, "fp32", 3)
    record = SearchAndTrain(phases, little).run()
    assert [epoch.epoch for epoch in record.epochs] == [1, 2]
    assert all(layer.lora_B.any() for layer in adapters.values())
    for mode in ("fold", "calibrated") if space == "linear" else ("exact",):
        config = MergeConfig(mode=mode, max_metric_drop=1, calibration_images=3, ridge=0.001)
        choice = choose(sam, little, MergeContext(little, config))
        certificate = certify(choice, build_sam(name), sam, little, max_metric_drop=1)
        assert certificate.passed
        if mode != "calibrated":
            assert certificate.max_logit_difference < 1e-4
        folder = tmp_path / mode
        folder.mkdir()
        save_merged(folder, choice.merged, name, mode, {})
        again = PromptFreeSegmenter(load_merged(folder))(images_for(sam))
        torch.testing.assert_close(again, PromptFreeSegmenter(choice.merged.sam)(images_for(sam)))
        probabilities = Predictor.merged(folder, "fp32", "cpu")(list(little.images))
        assert [one.shape[-2:] for one in probabilities] == [little.images.shape[1:3]] * len(little.images)


def test_operations_on_the_whole_image_fold_where_layers_see_windows(name, sam, adapter, search, tmp_path):
    encoder = sam.image_encoder
    layers = [layer for layer, _ in encoder.named_modules() if layer.endswith(encoder.default_targets)]
    choices = {
        layer: LayerChoice(operation="image_conv_3x3", ranks=dict.fromkeys(sections_of(layer), 2)) for layer in layers
    }
    adapters = add_adapters(sam, adapter, search, 0, choices)
    base = PromptFreeSegmenter(sam)(images_for(sam))
    moved(nn.ModuleList(adapters.values()))
    adapted = PromptFreeSegmenter(sam.eval())(images_for(sam))
    assert (adapted - base).std() > 0.1 * base.std()
    folded = fold(sam)
    save_merged(tmp_path, folded, name, "fold", {})
    for model in (folded.sam, load_merged(tmp_path)):
        torch.testing.assert_close(PromptFreeSegmenter(model)(images_for(sam)), adapted, rtol=1e-4, atol=1e-5)


def test_a_model_that_transformers_does_not_know_names_the_extra():
    with pytest.raises(ConfigError, match="pip install 'naslora\\[hf\\]'"):
        require_transformers("Sam9Model")
