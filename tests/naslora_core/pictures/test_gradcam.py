from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.pictures.gradcam import explain, grad_cam
from naslora_core.sam.build import build_sam
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter


@pytest.fixture
def embeddings() -> torch.Tensor:
    return torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(3))


def test_for_a_linear_head_the_channel_weights_are_the_heads_own(embeddings: torch.Tensor):
    weights = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0])

    def head(features: torch.Tensor) -> torch.Tensor:
        # Far above zero everywhere, so that the sum runs over every pixel.
        return torch.einsum("c,bchw->bhw", weights, features)[:, None] + 1000

    expected = torch.einsum("c,bchw->bhw", weights, embeddings).relu()
    assert expected.min() == 0
    assert expected.max() > 1
    torch.testing.assert_close(grad_cam(embeddings, head), expected)


def test_only_pixels_that_are_predicted_foreground_count(embeddings: torch.Tensor):
    def head(features: torch.Tensor) -> torch.Tensor:
        left, right = features[:, 0, :, :3] + 1000, features[:, 1, :, 3:] - 1000
        return torch.cat([left, right], dim=2)[:, None]

    # The left half is foreground and reads channel 0 alone: half of all positions have gradient one, the rest zero.
    torch.testing.assert_close(grad_cam(embeddings, head), (0.5 * embeddings[:, 0]).relu())


def test_where_nothing_is_predicted_every_pixel_counts(embeddings: torch.Tensor):
    heat = grad_cam(embeddings, lambda features: features[:, :1] - 1000)
    torch.testing.assert_close(heat, embeddings[:, 0].relu())


def test_what_speaks_against_foreground_is_cold():
    features = torch.ones(1, 2, 3, 3)
    assert (grad_cam(features, lambda x: -x.sum(dim=1, keepdim=True)) == 0).all()


def test_one_image_does_not_change_the_heat_of_another(embeddings: torch.Tensor):
    def head(features: torch.Tensor) -> torch.Tensor:
        return features.prod(dim=1, keepdim=True)

    together = grad_cam(embeddings, head)
    alone = torch.cat([grad_cam(one[None], head) for one in embeddings])
    torch.testing.assert_close(together, alone)


def test_the_heat_of_sam_covers_the_image_without_its_padding(card: DatasetCard, tmp_path: Path):
    torch.manual_seed(5)
    segmenter = PromptFreeSegmenter(build_sam("sam_tiny"))
    files = tmp_path / "image.png", tmp_path / "mask.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (60, 120, 3), dtype=np.uint8)).save(files[0])
    Image.fromarray(np.zeros((60, 120), dtype=np.uint8)).save(files[1])
    heat = explain(segmenter, [Pair("wide", *files, "test")], card)["wide"]
    assert heat.shape == (8, 16)
    assert np.isfinite(heat).all()
    assert heat.max() > 0
    assert all(parameter.grad is None for parameter in segmenter.parameters())


def save_pair(folder: Path, image: np.ndarray) -> Pair:
    files = folder / "image.png", folder / "mask.png"
    Image.fromarray(image).save(files[0])
    Image.fromarray(np.zeros(image.shape[:2], dtype=np.uint8)).save(files[1])
    return Pair("wide", *files, "test")


def segmenter_of(head: MaskHead) -> PromptFreeSegmenter:
    torch.manual_seed(5)
    sam = build_sam("sam_tiny", 96)
    set_head(sam, head)
    if head.detail != "off":
        torch.nn.init.normal_(sam.mask_decoder.detail.out.weight, std=2)
    return PromptFreeSegmenter(sam)


def test_a_model_of_crops_is_explained_in_parts_of_its_scale_with_one_weight_for_each_channel(
    card: DatasetCard, tmp_path: Path
):
    part = np.random.default_rng(1).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    pair = save_pair(tmp_path, np.tile(part, (1, 4, 1)))
    heat = explain(segmenter_of(MaskHead(1, "off", 2.0)), [pair], card)["wide"]
    # 48 px of the image are the input of 96, in which a cell is 16.
    assert heat.shape == (6, 24)
    assert np.isfinite(heat).all()
    assert heat.max() > 0
    alone = explain(segmenter_of(MaskHead(1, "off", 2.0)), [save_pair(tmp_path, part)], card)["wide"]
    whole = explain(segmenter_of(MaskHead(1, "off")), [save_pair(tmp_path, part)], card)["wide"]
    assert alone.shape == (6, 6)
    # One part that fills the input is a whole image.
    np.testing.assert_allclose(alone, whole, atol=1e-4 * whole.max())


def test_the_detail_path_is_part_of_what_is_explained(card: DatasetCard, tmp_path: Path):
    pair = save_pair(tmp_path, np.random.default_rng(1).integers(0, 255, (60, 90, 3), dtype=np.uint8))
    plain, fine = (explain(segmenter_of(MaskHead(1, detail)), [pair], card)["wide"] for detail in ("off", "half"))
    assert plain.shape == fine.shape
    assert not np.allclose(plain, fine, rtol=1e-3)


def test_images_that_are_explained_together_have_the_heat_they_have_alone(card: DatasetCard, tmp_path: Path):
    segmenter, pairs = segmenter_of(MaskHead(1, "half")), []
    for number, shape in enumerate([(60, 90), (96, 40), (200, 210)]):
        (folder := tmp_path / str(number)).mkdir()
        pixels = np.random.default_rng(number).integers(0, 255, (*shape, 3), dtype=np.uint8)
        pairs.append(replace(save_pair(folder, pixels), name=str(number)))
    together = explain(segmenter, pairs, card)
    assert list(together) == ["0", "1", "2"]
    for pair in pairs:
        alone = explain(segmenter, [pair], card)[pair.name]
        np.testing.assert_allclose(together[pair.name], alone, atol=1e-5 * alone.max())
