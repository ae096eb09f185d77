"""What a model gave for a batch is known again, bit for bit, and only then."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from naslora_core.merge import remembering
from naslora_core.merge.remembering import RememberingSegmenter
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.detail import Detail, add_detail_path, without_detail
from naslora_core.sam.segmenter import PromptFreeSegmenter

SIDE = 64


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Detail], tuple[Sam, list[int]]]:
    """Return a function that makes a model with a detail path, and the list of how many images it encodes at a time."""

    def make(detail: Detail) -> tuple[Sam, list[int]]:
        torch.manual_seed(5)
        sam, encoded = build_sam("sam_tiny", SIDE), []
        add_detail_path(sam, detail)
        if detail != "off":
            torch.nn.init.normal_(sam.mask_decoder.detail.out.weight)
        encode = sam.encode
        monkeypatch.setattr(sam, "encode", lambda images: encoded.append(len(images)) or encode(images))
        return sam.requires_grad_(False).eval(), encoded

    return make


def batch(seed: int, count: int = 2) -> Tensor:
    return torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed)).byte()


@pytest.mark.parametrize("detail", ["off", "half"])
def test_a_batch_is_encoded_once_with_the_masks_it_always_has(detail: Detail, counted: Any) -> None:
    sam, encoded = counted(detail)
    expected = [PromptFreeSegmenter(sam)(batch(seed)) for seed in (0, 1)]
    encoded.clear()
    segmenter = RememberingSegmenter(sam).eval()
    for _ in range(2):
        for seed in (0, 1):
            assert torch.equal(segmenter(batch(seed)), expected[seed])
    # Images beside others are another batch.
    assert torch.equal(segmenter(batch(0)[:1]), PromptFreeSegmenter(sam)(batch(0)[:1]))
    assert encoded == [2, 2, 1, 1]


def test_masks_without_the_detail_path_are_decoded_from_the_same_features(counted: Any) -> None:
    sam, encoded = counted("half")
    with without_detail(sam):
        expected = PromptFreeSegmenter(sam)(batch(0))
    segmenter = RememberingSegmenter(sam).eval()
    fine = segmenter(batch(0))
    with without_detail(sam):
        assert torch.equal(segmenter(batch(0)), expected)
    assert torch.equal(segmenter(batch(0)), fine)
    assert encoded == [2, 2]


def test_what_has_no_room_is_predicted_again(counted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sam, encoded = counted("off")
    # Masks of two images are 2 x 4 x 16 x 16 bytes.
    monkeypatch.setattr(remembering, "_KEPT_BYTES", 2 * 4 * 16 * 16)
    segmenter = RememberingSegmenter(sam).eval()
    assert all(torch.equal(segmenter(batch(seed)), PromptFreeSegmenter(sam)(batch(seed))) for seed in (0, 1, 0, 1))
    assert encoded.count(2) == 4 + 3
