"""Windows are cut and put together as segment_anything cuts them."""

import pytest
import torch
from segment_anything.modeling.image_encoder import window_partition

from naslora_core.geometry.windows import Windows


@pytest.mark.parametrize(("grid", "side"), [(16, 8), (64, 14), (10, 7), (5, 14)])
def test_joined_windows_are_the_grid_they_were_cut_from(grid, side):
    image = torch.randn(2, grid, grid, 3)
    cut, _ = window_partition(image, side)
    windows = Windows(side, -(-grid // side))
    joined = windows.join(cut)
    assert torch.equal(joined[:, :grid, :grid], image)
    assert not joined[:, grid:].any()
    assert not joined[:, :, grid:].any()
    assert torch.equal(windows.split(joined), cut)
