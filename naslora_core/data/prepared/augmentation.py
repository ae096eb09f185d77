"""Random augmentation of training images, applied to an image and its mask together."""

from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from naslora_core.sam.square import PADDING_RGB


def augmentation() -> v2.Transform:
    """Return random flips, rotations up to 20 degrees, shifts, and changes of scale and colour.

    Pixels from outside the image become SAM's mean colour in the image and background in the mask.
    """
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(
                degrees=20,
                translate=(0.08, 0.08),
                scale=(0.8, 1.25),
                interpolation=InterpolationMode.BILINEAR,
                fill={tv_tensors.Image: PADDING_RGB, tv_tensors.Mask: 0},
            ),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    )


def crop_augmentation() -> v2.Transform:
    """Return random flips and quarter turns, which keep every pixel, and changes of colour."""
    return v2.Compose([v2.RandomHorizontalFlip(), _RandomQuarterTurn(), v2.ColorJitter(0.2, 0.2, 0.2)])


class _RandomQuarterTurn(v2.Transform):
    """Turn squares by 0, 90, 180 or 270 degrees, each as often; with a flip all eight positions are as likely."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"turns": int(torch.randint(4, ()))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return tv_tensors.wrap(torch.rot90(inpt, params["turns"], (-2, -1)), like=inpt)
