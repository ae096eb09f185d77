"""Objects that are gone at the model's input size: counted in a part of the mask as in the whole of it."""

import cv2
import numpy as np
import pytest

from naslora_core.quality.scale.vanished import count_vanished
from naslora_core.sam.square import resize_mask


@pytest.mark.parametrize(("height", "width", "input_px"), [(97, 131, 32), (300, 40, 64), (64, 64, 64), (31, 257, 100)])
def test_as_many_are_gone_as_when_the_whole_mask_is_resized(height: int, width: int, input_px: int) -> None:
    generator = np.random.default_rng(height)
    ids = np.zeros((height, width), np.uint8)
    # Away from two of the sides, so that the part begins and ends within the mask.
    ids[5:-3, 2:-7] = generator.random((height - 8, width - 9)) < 0.02
    count, regions, _, _ = cv2.connectedComponentsWithStats(ids, connectivity=8)
    expected = set(range(1, count)) - set(resize_mask(regions, input_px).ravel().tolist())
    assert (max(height, width) > input_px) == bool(expected)
    left, top, part_width, part_height = cv2.boundingRect(ids)
    part = np.ascontiguousarray(ids[top : top + part_height, left : left + part_width])
    of_part = cv2.connectedComponentsWithStats(part, connectivity=8)[1]
    assert count_vanished(of_part, (top, left), ids.shape, count, input_px) == len(expected)
