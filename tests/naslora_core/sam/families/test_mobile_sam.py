import sys
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from naslora_core.errors import ConfigError
from naslora_core.sam.build import build_sam
from naslora_core.sam.families import mobile_sam
from naslora_core.sam.families.mobile_sam_keys import CLASSIFIER, from_official, to_official
from naslora_core.sam.specs import MODEL_SPECS

tiny_vit = pytest.importorskip("timm.models.tiny_vit", reason="timm comes with the extras dev and hf")

SPEC = MODEL_SPECS["mobile_sam_mini"]
SIZES = [128, 96, 64]


@torch.no_grad()
def move(model: nn.Module) -> nn.Module:
    """Give every weight, bias of a distance and statistic of a batch norm a value that matters."""
    torch.manual_seed(5)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith("attention_biases"):
            tensor.normal_()
        elif tensor.is_floating_point():
            tensor.add_(0.2 * torch.randn_like(tensor))
    return model.eval()


@pytest.fixture(params=SIZES)
def sam(request):
    """A small MobileSAM; its windows are padded differently at each size, and at 64 px larger than the image."""
    return move(mobile_sam.build(replace(SPEC, image_size=request.param)))


def pixels(sam, batch: int = 2) -> torch.Tensor:
    side = sam.image_encoder.img_size
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(6))


def load_theirs(theirs: nn.Module, sam) -> nn.Module:
    """Load our weights into the authors' model strictly, but for the classifier, which has other sizes in small."""
    weights = {key: value for key, value in to_official(sam.state_dict()).items() if key not in CLASSIFIER}
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert not unexpected
    assert set(missing) == set(CLASSIFIER)
    # Their attention takes its biases when the mode changes.
    return theirs.train().eval()


@torch.no_grad()
def test_embeddings_are_those_of_timms_own_network(sam):
    network = tiny_vit.TinyVit(
        num_classes=0, drop_path_rate=0, embed_dims=SPEC.stage_widths, depths=SPEC.stage_depths,
        num_heads=SPEC.stage_heads, window_sizes=SPEC.stage_windows,
    ).eval()  # fmt: skip
    network.stages[-1].downsample.conv2.conv.stride = (1, 1)
    weights = {}
    for key, value in sam.image_encoder.state_dict().items():
        theirs = key.replace(".linear.", ".conv.")
        weights[theirs] = value[:, :, None, None] if theirs != key else value
    network.load_state_dict({key: value for key, value in weights.items() if not key.startswith("neck.")}, strict=False)
    expected = sam.image_encoder.neck(network.forward_features(pixels(sam)))
    torch.testing.assert_close(sam.encode(pixels(sam))[0], expected, atol=1e-5, rtol=1e-5)
    assert expected.shape[-1] == sam.image_encoder.img_size // 16


@torch.no_grad()
def test_embeddings_and_masks_are_those_of_the_authors_package(sam):
    with warnings.catch_warnings():
        # It imports timm by names that timm warns of.
        warnings.simplefilter("ignore")
        package = pytest.importorskip("mobile_sam", reason="mobilesam-mirror comes with the extra dev")
        from mobile_sam.modeling import MaskDecoder, PromptEncoder, Sam, TinyViT, TwoWayTransformer
    size, channels = sam.image_encoder.img_size, SPEC.embed_channels
    encoder = TinyViT(
        img_size=size, drop_path_rate=0, embed_dims=SPEC.stage_widths, depths=SPEC.stage_depths,
        num_heads=SPEC.stage_heads, window_sizes=SPEC.stage_windows,
    )  # fmt: skip
    # These are fixed to MobileSAM's widths in their code.
    encoder.layers[2].downsample.conv2.c.stride = (1, 1)
    encoder.neck = nn.Sequential(
        nn.Conv2d(SPEC.stage_widths[-1], channels, 1, bias=False), type(encoder.neck[1])(channels),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), type(encoder.neck[1])(channels),
    )  # fmt: skip
    decoder = MaskDecoder(
        transformer_dim=channels,
        transformer=TwoWayTransformer(2, channels, SPEC.decoder_heads, SPEC.decoder_mlp_dim),
        iou_head_hidden_dim=SPEC.iou_head_hidden_dim,
    )
    prompts = PromptEncoder(channels, (size // 16, size // 16), (size, size), 16)
    theirs = load_theirs(Sam(encoder, prompts, decoder), sam)
    tokens = encoder.patch_embed(pixels(sam, 1))
    for layer in encoder.layers:
        tokens = layer(tokens)
    embeddings = encoder.neck(tokens.transpose(1, 2).unflatten(2, (size // 16, size // 16)))
    predictor = package.SamPredictor(theirs)
    predictor.features, predictor.is_image_set = embeddings, True
    predictor.original_size = predictor.input_size = (size, size)
    _, quality, masks = predictor.predict_torch(None, None, multimask_output=False, return_logits=True)
    features = sam.encode(pixels(sam, 1))
    low_res_masks, iou_predictions = sam.predict_masks(features)
    torch.testing.assert_close(features[0], embeddings, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(low_res_masks[:, :1], masks, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(iou_predictions[:, :1], quality, atol=1e-5, rtol=1e-5)


def test_weights_survive_the_authors_names_bit_for_bit():
    sam = move(build_sam("mobile_sam_mini"))
    official = to_official(sam.state_dict())
    assert not official.keys() & {key for key in sam.state_dict() if key.startswith("image_encoder.stages.")}
    back = from_official(official)
    assert back.keys() == sam.state_dict().keys()
    assert all(torch.equal(back[key], value) for key, value in sam.state_dict().items())


def test_the_large_model_has_the_authors_tensors():
    with torch.device("meta"):
        official = to_official(build_sam("mobile_sam").state_dict())
    shapes = {key: tuple(value.shape) for key, value in official.items()}
    # As many as `build_sam_vit_t` of the authors' package has.
    assert len(shapes) == 439
    assert sum(value.numel() for value in official.values()) == 10_140_231
    expected = {
        "patch_embed.seq.2.c.weight": (64, 32, 3, 3),
        "layers.0.blocks.1.conv3.c.weight": (64, 256, 1, 1),
        "layers.0.downsample.conv1.c.weight": (128, 64, 1, 1),
        "layers.2.downsample.conv2.bn.running_var": (320,),
        "layers.2.blocks.5.attn.attention_biases": (5, 196),
        "layers.3.blocks.1.local_conv.c.weight": (320, 1, 3, 3),
        "layers.3.blocks.1.mlp.fc1.weight": (1280, 320),
        "norm_head.weight": (320,),
        "head.weight": (1000, 320),
        "neck.2.weight": (256, 256, 3, 3),
    }
    assert {key: shapes[f"image_encoder.{key}"] for key in expected} == expected


def test_every_linear_layer_sees_the_tokens_that_its_grid_says(sam):
    encoder = sam.image_encoder
    seen: dict[str, torch.Size] = {}
    for name, layer in encoder.named_modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_pre_hook(lambda _, args, name=name: seen.__setitem__(name, args[0].shape))
    sam.encode(pixels(sam))
    assert {name.rpartition(".downsample.")[2].rpartition(".blocks.0.")[2] for name in seen} == {
        *encoder.default_targets, "attn.proj", "conv1.linear", "conv3.linear",
    }  # fmt: skip
    for name, shape in seen.items():
        grid = encoder.grid_of(name)
        side = grid.window or grid.side
        assert tuple(shape[:3]) == (2 * grid.across**2, side, side), name


def test_training_leaves_the_batch_norms_as_they_are():
    sam = move(build_sam("mobile_sam_mini"))
    before = {name: buffer.clone() for name, buffer in sam.named_buffers()}
    expected = sam.encode(pixels(sam))[0]
    sam.train()
    assert sam.image_encoder.training
    torch.testing.assert_close(sam.encode(pixels(sam))[0], expected)
    assert all(torch.equal(buffer, before[name]) for name, buffer in sam.named_buffers())


def test_gradient_checkpointing_gives_the_same_gradients():
    sam = move(build_sam("mobile_sam_mini"))
    found = []
    for recompute in (False, True):
        sam.image_encoder.gradient_checkpointing = recompute
        sam.zero_grad()
        sam.encode(pixels(sam))[0].square().mean().backward()
        found.append({name: parameter.grad.clone() for name, parameter in sam.image_encoder.named_parameters()})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, msg=name)


def test_multiplications_are_what_torch_counts():
    # Where no window is padded: padding is not counted, as it is not for SAM.
    sam = mobile_sam.build(replace(SPEC, stage_windows=(4, 4, 4, 4)))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        sam.encode(pixels(sam, 1))
    assert sam.image_encoder.multiplications() == counter.get_total_flops() / 2


def test_a_missing_timm_is_named_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm.models.tiny_vit", None)
    with pytest.raises(ConfigError, match=r"needs timm .*pip install 'naslora\[hf\]'"):
        build_sam("mobile_sam_mini")
