"""Moments of patches that are never made are those of the patches."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from naslora_core.merge.fitting.moments import Moments
from naslora_core.merge.fitting.patches import PatchMoments

CHANNELS, OUTPUTS = 5, 3


def batches(height: int, width: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(4)
    return [
        (
            torch.randn(count, CHANNELS, height, width, generator=generator),
            torch.randn(count, OUTPUTS, height, width, generator=generator),
        )
        for count in (3, 1)
    ]


def of_patches(kernel: int, given: list[tuple[Tensor, Tensor]]) -> Moments:
    moments = Moments(CHANNELS * kernel**2, OUTPUTS, torch.device("cpu"))
    for images, outputs in given:
        moments.add(F.unfold(images, kernel, padding=kernel // 2).transpose(1, 2), outputs.flatten(2).transpose(1, 2))
    return moments


@pytest.mark.parametrize(("height", "width"), [(6, 6), (4, 9), (2, 3), (1, 1)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_sums_and_fit_are_those_of_all_patches(kernel: int, height: int, width: int) -> None:
    given = batches(height, width)
    found, wanted = PatchMoments(CHANNELS, kernel, OUTPUTS, torch.device("cpu")), of_patches(kernel, given)
    for images, outputs in given:
        found.add_images(images, outputs)
    assert found.tokens == wanted.tokens
    for name in ("xx", "tx", "tt"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), rtol=0, atol=1e-10)
    prior = torch.ones(OUTPUTS, CHANNELS * kernel**2, dtype=torch.float64)
    torch.testing.assert_close(found.fit(prior, 0.001), wanted.fit(prior, 0.001), rtol=0, atol=1e-8)


def test_the_fit_finds_the_convolution_that_made_the_outputs() -> None:
    images = torch.randn(8, CHANNELS, 7, 6, generator=torch.Generator().manual_seed(5))
    weight = torch.randn(OUTPUTS, CHANNELS, 3, 3, generator=torch.Generator().manual_seed(6))
    moments = PatchMoments(CHANNELS, 3, OUTPUTS, torch.device("cpu"))
    moments.add_images(images, F.conv2d(images, weight, padding=1))
    found = moments.fit(torch.zeros(OUTPUTS, CHANNELS * 9, dtype=torch.float64), 1e-9)
    torch.testing.assert_close(found.view_as(weight).float(), weight, rtol=0, atol=1e-4)
