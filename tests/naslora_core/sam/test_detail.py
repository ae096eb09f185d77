"""The head of a mask decoder: classes, detail path and scale."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from segment_anything import SamPredictor

from naslora_core.adapted.attach import add_adapters
from naslora_core.sam.build import build_sam
from naslora_core.sam.detail import DetailPath, add_detail_path, detail_of
from naslora_core.sam.head import MaskHead, head_of, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter

SIDE = 64
PARTS = {"half": 2, "full": 1}


def built(head: MaskHead | None = None, seed: int = 3):
    torch.manual_seed(0)
    sam = build_sam("sam_tiny", SIDE)
    if head:
        set_head(sam, head, seed)
    return sam


def segment(sam, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    with torch.no_grad():
        return PromptFreeSegmenter(sam).eval()(images)


def test_a_head_as_sam_has_it_changes_no_bit_and_no_key():
    stock, plain = built(), built(MaskHead())
    assert list(plain.state_dict()) == list(stock.state_dict())
    assert torch.equal(segment(plain), segment(stock))
    predictor = SamPredictor(stock)
    image = torch.randint(0, 256, (SIDE, SIDE, 3), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    predictor.set_image(image.numpy())
    low_res = torch.from_numpy(predictor.predict(multimask_output=False)[2])
    with torch.no_grad():
        ours = PromptFreeSegmenter(plain).eval()(image[None].permute(0, 3, 1, 2))[0]
    torch.testing.assert_close(ours, low_res, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("detail", PARTS)
def test_a_fresh_detail_path_gives_the_masks_of_sam_enlarged(detail, classes):
    side = SIDE // PARTS[detail]
    before = segment(built(MaskHead(classes)))
    found = segment(built(MaskHead(classes, detail)))
    assert found.shape == (2, classes, side, side)
    assert before.abs().max() > 1e-3
    enlarged = F.interpolate(before, size=(side, side), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, enlarged, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("detail", PARTS)
def test_masks_have_the_inputs_size_once_they_are_enlarged(detail):
    sam = built(MaskHead(2, detail))
    assert PromptFreeSegmenter(sam).upscale(segment(sam)).shape == (2, 2, SIDE, SIDE)


@pytest.mark.parametrize("detail", PARTS)
def test_a_detail_path_learns_what_a_quarter_cannot_show(detail, adapter, search):
    """Stripes of a pixel, each second one: means over four pixels are the same everywhere."""
    sam = built(MaskHead(1, detail))
    add_adapters(sam, adapter.model_copy(update={"method": "none"}), search, seed=1)
    path = sam.mask_decoder.detail
    assert all(parameter.requires_grad for parameter in path.parameters())
    step = PARTS[detail]
    # Stripes a mask's pixel wide, in the lower half.
    wanted = (torch.arange(SIDE // step) % 2).float().repeat(1, 1, SIDE // step, 1)
    wanted[..., : SIDE // step // 2, :] = 0
    images = (F.interpolate(wanted, scale_factor=step) * 255).expand(-1, 3, -1, -1)
    optimizer = torch.optim.Adam(path.parameters(), lr=0.01)
    segmenter = PromptFreeSegmenter(sam).eval()
    with torch.no_grad():
        embeddings = sam.image_encoder(sam.preprocess(images))
    losses, learning = [], set()
    for _ in range(90):
        loss = F.binary_cross_entropy_with_logits(segmenter.decode((embeddings,), sam.preprocess(images)), wanted)
        optimizer.zero_grad()
        loss.backward()
        learning |= {name for name, value in path.named_parameters() if value.grad.any()}
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.6
    assert min(losses) < 0.35
    assert learning == {name for name, _ in path.named_parameters()}


def naively(path: DetailPath, images: torch.Tensor, features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """The formula of a detail path, as a list of its layers."""

    def run(layers, *parts):
        x = torch.cat(parts, dim=1)
        for layer in layers:
            if isinstance(layer, torch.nn.Conv2d):
                x = F.conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding)
            elif isinstance(layer, torch.nn.InstanceNorm2d):
                x = F.instance_norm(x, weight=layer.weight, bias=layer.bias, eps=layer.eps)
            else:
                x = layer(x) if isinstance(layer, torch.nn.GELU) else run(layer, x)
        return x

    def enlarged(x, factor):
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    of_image = run(path.image, F.pixel_unshuffle(images, 2))
    joined = enlarged(run(path.join, run(path.coarse, of_image), features), 2)
    own = F.conv2d(run(path.fine, of_image, joined), path.out.weight, path.out.bias)
    own = own.unflatten(1, (kernels.shape[-1], -1))
    fine = F.pixel_shuffle(torch.einsum("btc,bcphw->btphw", kernels, own), path.per_axis).squeeze(2)
    return enlarged(torch.einsum("btc,bchw->bthw", kernels, features), 2 * path.per_axis) + fine


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("per_axis", [1, 2])
def test_a_path_gives_the_masks_and_gradients_of_its_formula(per_axis, trains):
    torch.manual_seed(0)
    path = DetailPath(16, per_axis).train(trains)
    for parameter in path.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    images, features, kernels = torch.randn(2, 3, 32, 32), torch.randn(2, 16, 8, 8), torch.randn(2, 3, 16)
    inputs = [tensor.requires_grad_() for tensor in (features, kernels)]
    learning = [*inputs, *path.parameters()]
    results = []
    for way in (path, partial(naively, path)):
        masks = way(images, *inputs)
        results.append([masks, *torch.autograd.grad(masks.square().mean(), learning)])
    # A bias before a norm has no effect, and a gradient of rounding errors.
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-5)
    assert results[0][0].abs().mean() > 0.1


def test_a_path_starts_the_same_with_a_seed_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    first, same, other = (built(MaskHead(1, "half"), seed=seed).mask_decoder.detail for seed in (3, 3, 4))
    torch.set_rng_state(state)
    sam = built()
    state = torch.get_rng_state()
    add_detail_path(sam, "half", 8)
    assert torch.equal(torch.get_rng_state(), state)
    for one, two in zip(first.parameters(), same.parameters(), strict=True):
        assert torch.equal(one, two)
    assert any(not torch.equal(one, two) for one, two in zip(first.parameters(), other.parameters(), strict=True))


def test_a_model_tells_its_head():
    for head in (MaskHead(), MaskHead(3), MaskHead(2, "full", 0.5), MaskHead(1, "half")):
        sam = built(head)
        assert head_of(sam) == head
        assert detail_of(sam) == head.detail
        assert PromptFreeSegmenter(sam).scale == head.scale


def test_notes_leave_out_what_is_as_in_sam():
    assert MaskHead(2).notes() == {"classes": 2}
    assert MaskHead(1, "half", 1.0).notes() == {"classes": 1, "detail": "half", "scale": 1.0}
