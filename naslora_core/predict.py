"""Images of any size in, foreground probabilities out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from naslora_core.adapted import load_adapted
from naslora_core.config import ModelConfig
from naslora_core.data.preprocess import resize, resized_shape
from naslora_core.merge.merged import load_merged
from naslora_core.sam.build import Sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.precision import autocast, best_device
from naslora_core.sam.segmenter import PromptFreeSegmenter, count_parameters


class Predictor:
    """Segment images with a base, an adapted or a merged model.

    Args:
        sam: the model, with or without adapters.
        precision: "auto", "fp32" or "bf16".
    """

    def __init__(self, sam: Sam, precision: str) -> None:
        self._device = best_device()
        self._segmenter = PromptFreeSegmenter(sam).eval().to(self._device)
        self._precision = precision
        self.parameter_count = count_parameters(sam)

    @classmethod
    def base(cls, model: ModelConfig) -> "Predictor":
        """Load the pre-trained model, without adaptation."""
        return cls(load_base(model), model.precision)

    @classmethod
    def adapted(cls, folder: Path, model: ModelConfig) -> "Predictor":
        """Load the adapter that stage search_train wrote to `folder`, onto its base."""
        return cls(load_adapted(folder, model)[0].sam, model.precision)

    @classmethod
    def merged(cls, folder: Path, precision: str = "auto") -> "Predictor":
        """Load the model that stage merge wrote to `folder`; it needs no other file."""
        return cls(load_merged(folder), precision)

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the probability that a pixel is foreground.

        Args:
            images: each (H, W, 3) uint8, RGB, of a size of its own.

        Returns:
            For each image (H, W) float32 in 0..1, at the image's own size.
        """
        size = self._segmenter.image_size
        shapes = [resized_shape(image.shape[0], image.shape[1], size) for image in images]
        squares = np.zeros((len(images), size, size, 3), dtype=np.uint8)
        for square, image, (height, width) in zip(squares, images, shapes, strict=True):
            square[:height, :width] = resize(image, (height, width), Image.Resampling.BILINEAR)
        batch = torch.from_numpy(squares).permute(0, 3, 1, 2).to(self._device)
        with autocast(self._precision, self._device):
            low_res_masks = self._segmenter(batch)
        logits = self._segmenter.upscale(low_res_masks)
        probabilities = []
        for row, image, (height, width) in zip(logits, images, shapes, strict=True):
            inside = row[None, :, :height, :width]
            full = F.interpolate(inside, size=image.shape[:2], mode="bilinear", align_corners=False)
            probabilities.append(full[0, 0].sigmoid().cpu().numpy())
        return probabilities
