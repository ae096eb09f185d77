"""Random augmentation of training images, applied to an image and its mask together."""

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
