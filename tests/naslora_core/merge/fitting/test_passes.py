"""Passes that go on where the last one ended see, bit for bit, what passes from the images on see."""

import copy

import pytest
import torch
from torch import Tensor

from naslora_core.merge.fitting import passes
from naslora_core.merge.fitting.moments import input_of
from naslora_core.merge.fitting.passes import Passes
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter

SIDE = 64
LAYERS = [
    *("image_encoder.blocks.1.attn.qkv", "image_encoder.blocks.1.mlp.lin2", "image_encoder.blocks.6.mlp.lin1"),
    *("image_encoder.neck.0", "image_encoder.neck.0"),
]


def batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator).byte() for count in (3, 3, 1)]


def from_the_images_on(sam: Sam, name: str, precision: str) -> list[Tensor]:
    layer, model = sam.get_submodule(name), PromptFreeSegmenter(sam)
    with torch.no_grad():
        return [input_of(layer, model, images, precision) for images in batches()]


def counted_blocks(sam: Sam) -> list[int]:
    run: list[int] = []
    for number, block in enumerate(sam.image_encoder.blocks):
        block.register_forward_pre_hook(lambda *_, number=number: run.append(number))
    return run


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("room", [2**27, 3 * 4 * 4 * 192 * 4, 0])
def test_layers_see_the_same_while_those_before_them_are_changed(
    room: int, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "_KEPT_BYTES", room)
    torch.manual_seed(2)
    sam = build_sam("sam_tiny", SIDE).eval()
    going_on = Passes(sam, batches(), precision)
    for name in LAYERS:
        expected = from_the_images_on(sam, name, precision)
        for found, wanted in zip(going_on.inputs_of(sam.get_submodule(name)), expected, strict=True):
            assert torch.equal(found, wanted)
        # As a merge changes what this layer gives.
        torch.nn.init.normal_(sam.get_submodule(name).weight, std=0.05)
    assert len(sam.image_encoder.blocks) == 8


def test_all_layers_take_one_pass_and_another_model_goes_on_from_there() -> None:
    torch.manual_seed(2)
    sam = build_sam("sam_tiny", SIDE).eval()
    going_on, run = Passes(sam, batches()), counted_blocks(sam)
    for name in LAYERS[:3]:
        list(going_on.inputs_of(sam.get_submodule(name)))
    # The block of a layer runs once more for the next one that asks.
    assert [run.count(number) for number in range(8)] == [3, 9, 3, 3, 3, 3, 3, 0]
    other = copy.deepcopy(sam)
    run.clear()
    neck = list(going_on.through(other).inputs_of(other.image_encoder.neck[0]))
    assert set(run) == {6, 7}
    expected = from_the_images_on(sam, "image_encoder.neck.0", "fp32")
    assert all(torch.equal(found, wanted) for found, wanted in zip(neck, expected, strict=True))


def test_a_layer_before_what_was_reached_begins_at_the_images() -> None:
    torch.manual_seed(2)
    sam = build_sam("sam_tiny", SIDE).eval()
    going_on = Passes(sam, batches())
    list(going_on.inputs_of(sam.get_submodule(LAYERS[2])))
    expected = from_the_images_on(sam, LAYERS[0], "fp32")
    found = going_on.inputs_of(sam.get_submodule(LAYERS[0]))
    assert all(torch.equal(one, wanted) for one, wanted in zip(found, expected, strict=True))
