"""Images of any size, segmented part by part at one scale."""

import numpy as np
import pytest
import torch

from naslora_core.geometry.tiling import Tiling
from naslora_core.sam.build import build_sam
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.square import PADDING_RGB, window_side
from naslora_core.sam.tiled import square_logits, tiled_logits

SIDE = 64


@pytest.fixture(scope="module", params=[1, 3], ids=["one class", "three classes"])
def segmenter(request) -> PromptFreeSegmenter:
    torch.manual_seed(7)
    sam = build_sam("sam_tiny", SIDE)
    set_head(sam, MaskHead(request.param, "half"))
    return PromptFreeSegmenter(sam).eval()


class Colours(torch.nn.Module):
    """Stands for a segmenter: a logit of each class is a colour of the image, at a quarter of the input's size."""

    image_size = SIDE

    def __init__(self, is_constant: bool = False) -> None:
        super().__init__()
        self.sam = torch.nn.Linear(1, 1)
        self.sam.device = torch.device("cpu")
        self._is_constant, self.seen = is_constant, []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(images))
        logits = torch.nn.functional.avg_pool2d(images.float(), 4)
        return torch.full_like(logits, -1.25) if self._is_constant else logits

    def upscale(self, masks: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(masks, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


def whole(segmenter, image: np.ndarray, scale: float, overlap: float = 0.25) -> np.ndarray:
    """Return all rows, after looking that they come from top to bottom."""
    rows, parts = 0, []
    for top, logits in tiled_logits(segmenter, image, scale, "fp32", overlap):
        assert top == rows
        rows += logits.shape[1]
        parts.append(logits)
    return np.concatenate(parts, axis=1)


def test_an_image_of_the_inputs_size_is_one_forward(segmenter) -> None:
    image = noise(SIDE, SIDE)
    with torch.no_grad():
        expected = segmenter.upscale(segmenter(torch.from_numpy(image)[None].permute(0, 3, 1, 2)))[0].numpy()
    assert np.ptp(expected) > 1e-3
    np.testing.assert_array_equal(whole(segmenter, image, 1.0), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (50, 40), (64, 65), (151, 90)])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.3])
def test_every_pixel_has_a_logit_of_each_class(shape: tuple[int, int], scale: float) -> None:
    found = whole(Colours(), noise(*shape), scale)
    assert found.shape == (3, *shape)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_logits_that_are_the_same_everywhere_stay_so(scale: float) -> None:
    np.testing.assert_allclose(whole(Colours(is_constant=True), noise(230, 170), scale), -1.25, rtol=1e-6)


def test_tiles_are_averaged_by_their_blending_weights(segmenter) -> None:
    image, overlap = noise(150, 111), 0.25
    tiling = Tiling((150, 111), SIDE, overlap)
    total = np.zeros((segmenter.classes, 150, 111))
    for number, tile in enumerate(tiling.tiles):
        row, column = divmod(number, len(tiling.column_starts))
        weights = tiling.row_weights[row][:, None] * tiling.column_weights[column]
        logits = square_logits(segmenter, [tile.cut(image)], 1.0, "fp32")[0].numpy()
        total[:, tile.top : tile.top + SIDE, tile.left : tile.left + SIDE] += weights * logits
    assert len(tiling.tiles) == 3 * 3 - 3
    np.testing.assert_allclose(whole(segmenter, image, 1.0), total, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [3.0, 0.3, 1.7])
def test_a_part_fills_the_input_as_a_crop_does_in_training(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    colours = Colours()
    monkeypatch.setattr(colours, "forward", lambda images: seen.append(images) or images[:, :, ::4, ::4].float())
    side = 2 * window_side(SIDE, scale)
    whole(colours, np.full((side, side, 3), 255, np.uint8), scale)
    assert all((images == 255).all() for images in seen)


def test_what_lies_beyond_a_small_image_has_sams_mean_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    colours = Colours()
    monkeypatch.setattr(colours, "forward", lambda images: seen.append(images) or images[:, :, ::4, ::4].float())
    whole(colours, np.zeros((20, 30, 3), np.uint8), 1.0)
    beyond = seen[0][0].permute(1, 2, 0)
    assert not beyond[:20, :30].any()
    assert (beyond[20:] == torch.tensor(PADDING_RGB)).all()
    assert (beyond[:, 30:] == torch.tensor(PADDING_RGB)).all()


def test_no_more_than_a_row_of_parts_is_held() -> None:
    colours = Colours()
    rows = [logits.shape[1] for _, logits in tiled_logits(colours, noise(400, 100), 1.0, "fp32")]
    assert max(rows) <= SIDE
    assert sum(rows) == 400
    assert max(colours.seen) <= 8
