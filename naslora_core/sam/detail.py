"""A detail path: the image's own edges and lines refine SAM's masks, at half or full resolution of the input."""

from typing import Literal

import torch
import torch.nn.functional as F
from segment_anything.modeling import Sam
from torch import Tensor, nn

Detail = Literal["off", "half", "full"]
_STRIDES = {"half": 2, "full": 1}


class DetailPath(nn.Module):
    """Refines the features of SAM's last upsampling by a few convolutions of the image.

    SAM's masks are products of these features, at a quarter of the input's resolution, with a vector for each mask.
    The path joins the features, enlarged, with those of the image and adds a correction to them, which starts at
    zero: fresh, it gives SAM's own masks, enlarged. As it changes features and not masks, it serves any number of
    classes.

    Args:
        channels: of the features.
        stride: of its masks: 2 is half of the input's resolution, 1 all of it.
        width: channels of its convolutions.

    Source: early features for fine masks as in SAM-HQ (arXiv:2306.01567) and SAM 2 (arXiv:2408.00714).
    """

    def __init__(self, channels: int, stride: int, width: int = 16) -> None:
        super().__init__()
        self.stride = stride
        self.image = nn.Sequential(_convolution(3, width, stride), _convolution(width, width))
        self.coarse = _convolution(width, 2 * width, 4 // stride)
        self.join = nn.Sequential(
            _convolution(2 * width + channels, 2 * width),
            _convolution(2 * width, 2 * width),
            nn.Conv2d(2 * width, width, 1),
        )
        self.fine = nn.Sequential(_convolution(2 * width, width), _convolution(width, width))
        self.out = nn.Conv2d(width, channels, 1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, images: Tensor, features: Tensor) -> Tensor:
        """Return refined features (B, C, S / stride, S / stride).

        Args:
            images: normalised, (B, 3, S, S).
            features: of SAM's last upsampling, (B, C, S / 4, S / 4).
        """
        of_image = self.image(images.contiguous(memory_format=torch.channels_last))
        joined = self.join(torch.cat([self.coarse(of_image), features], dim=1))
        size = of_image.shape[-2:]
        joined = F.interpolate(joined, size=size, mode="bilinear", align_corners=False)
        correction = self.out(self.fine(torch.cat([of_image, joined], dim=1)))
        return F.interpolate(features, size=size, mode="bilinear", align_corners=False) + correction


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GELU())


def add_detail_path(sam: Sam, detail: Detail, seed: int = 0) -> None:
    """Give the mask decoder a detail path, in place; "off" leaves it as it is."""
    if detail == "off":
        return
    torch.manual_seed(seed)
    channels = sam.mask_decoder.output_hypernetworks_mlps[0].layers[-1].out_features
    sam.mask_decoder.detail = DetailPath(channels, _STRIDES[detail]).to(sam.device)


def detail_of(sam: Sam) -> Detail:
    """Return the detail path that a model has."""
    path = getattr(sam.mask_decoder, "detail", None)
    if path is None:
        return "off"
    return "half" if path.stride == _STRIDES["half"] else "full"
