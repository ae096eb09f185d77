"""The U-Net of the rival, and its predictions of images of any size."""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.bench.unet.crops import resize_image
from naslora_core.config import Flips
from naslora_core.errors import ConfigError
from naslora_core.geometry.tiling import Stitcher, Tiling
from naslora_core.sam.inference import mean_over_flips
from naslora_core.sam.precision import autocast
from naslora_core.sam.tiled import to_probabilities

# Of BasicUNet, four times down. With these it has 0.5 million parameters, about as many as adapters and decoder of
# sam_tiny train.
FEATURES = (16, 16, 32, 64, 128, 16)
MULTIPLE_PX = 16
OVERLAP = 0.25
_TILES_AT_ONCE = 8


def build_unet(classes: int, norm: str) -> nn.Module:
    """Return MONAI's BasicUNet with random weights, (B, 3, H, W) to logits (B, classes, H, W).

    Args:
        classes: without the background, whose logit is 0.
        norm: "batch" or "instance".

    Raises:
        ConfigError: if MONAI is missing.

    Source: arXiv:1505.04597, in the form of doi:10.1038/s41592-018-0261-2 that `monai.networks.nets` has.
    """
    require_monai()
    from monai.networks.nets import BasicUNet

    network: nn.Module = BasicUNet(2, 3, classes, features=FEATURES, norm=(norm, {"affine": True}))
    return network


def require_monai() -> None:
    """Check that MONAI is installed, without loading it.

    Raises:
        ConfigError: if it is not.
    """
    if find_spec("monai") is None:
        raise ConfigError("the U-Net of a bench table needs MONAI, which is missing; pip install 'naslora[bench]'")


class UNetPredictor:
    """Predict images at their own scale, in overlapping tiles with blended logits.

    Args:
        network: from `build_unet`, on its device.
        tile_px: side of a tile.
        longer_px: to which an image's longer side is shrunk before; None for images as they are.
        precision: "auto", "fp32" or "bf16".
        flips: whose logits are averaged, see `Inference`.
    """

    def __init__(
        self, network: nn.Module, tile_px: int, longer_px: int | None, precision: str, flips: Flips = "none"
    ) -> None:
        self._network = network
        self._tile_px = tile_px
        self._longer_px = longer_px
        self._precision = precision
        self._flips = flips

    def using(self, flips: Flips) -> "UNetPredictor":
        """Return a predictor with the same network that averages other flips."""
        return UNetPredictor(self._network, self._tile_px, self._longer_px, self._precision, flips)

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the probability that a pixel is foreground, or that it is of each class.

        Args:
            images: each (H, W, 3) uint8, RGB, of a size of its own.

        Returns:
            For each image (H, W) float32 in 0..1, or (K, H, W) of several classes.
        """
        training = self._network.training
        self._network.eval()
        found = [self._probability(image) for image in images]
        self._network.train(training)
        return found

    def _probability(self, image: np.ndarray) -> np.ndarray:
        seen = [resize_image(image, self._longer_px)]
        (mean,) = mean_over_flips(lambda images: [self._logits(one) for one in images], seen, self._flips)
        logits = torch.from_numpy(mean)
        if logits.shape[1:] != image.shape[:2]:
            logits = F.interpolate(logits[None], size=image.shape[:2], mode="bilinear", align_corners=False)[0]
        return to_probabilities(logits.numpy())

    def _logits(self, image: np.ndarray) -> np.ndarray:
        """Return the logits of an image (H, W, 3) as (K, H, W)."""
        tiling = Tiling((image.shape[0], image.shape[1]), self._tile_px, OVERLAP)
        stitcher, rows = Stitcher(tiling, most=None), []
        for start in range(0, len(tiling.tiles), _TILES_AT_ONCE):
            tiles = tiling.tiles[start : start + _TILES_AT_ONCE]
            found = self._segment(np.stack([tile.cut(image) for tile in tiles]))
            rows += [complete[1] for logits in found.numpy() if (complete := stitcher.add(logits)) is not None]
        return np.concatenate(rows, axis=1)

    def _segment(self, tiles: np.ndarray) -> Tensor:
        """Return the logits of tiles (N, h, w, 3), (N, K, h, w); the sides are padded to what the U-Net can halve."""
        height, width = tiles.shape[1:3]
        pixels = torch.from_numpy(tiles).permute(0, 3, 1, 2)
        device = next(self._network.parameters()).device
        inputs = normalise(pixels.to(device).float() / 255)
        inputs = F.pad(inputs, (0, -width % MULTIPLE_PX, 0, -height % MULTIPLE_PX))
        with autocast(self._precision, device):
            logits: Tensor = self._network(inputs)
        return logits.float()[..., :height, :width].cpu()


def normalise(images: Tensor) -> Tensor:
    """Return images of 0..1 with about zero mean and unit variance; padding has zero after this."""
    return (images - 0.5) * 4
