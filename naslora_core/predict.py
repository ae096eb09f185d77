"""Predict images of any size with a base, an adapted or a merged model."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from naslora_core.adapted.held_weights import HeldWeights
from naslora_core.adapted.saved import load_adapted
from naslora_core.config import Flips, ModelConfig
from naslora_core.merge.merged import load_merged
from naslora_core.sam.build import Sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.inference import PLAIN, Inference, mean_over_flips, means_over_flips
from naslora_core.sam.precision import autocast, computing_type, decide_precision, find_device
from naslora_core.sam.segmenter import PromptFreeSegmenter, count_parameters, segment_in_turns
from naslora_core.sam.square import resize, resized_shape, window_side
from naslora_core.sam.tiled import square_logits, tiled_logits, to_probabilities


class Predictor:
    """A model that maps images of any size to probabilities.

    Args:
        sam: the model, with or without adapters; predicts at the image size it was built for.
        precision: "auto", "fp32" or "bf16".
        device: "auto", "cpu" or "cuda".
        inference: whether flips are averaged, and by how much parts overlap.
    """

    def __init__(self, sam: Sam, precision: str, device: str = "auto", inference: Inference = PLAIN) -> None:
        self._device = find_device(device)
        self._inference = inference
        self._segmenter = PromptFreeSegmenter(sam).eval().to(self._device)
        self._precision = precision
        self._held = HeldWeights(sam.image_encoder, computing_type(precision, self._device))
        self.parameter_count = count_parameters(sam)

    @classmethod
    def base(cls, model: ModelConfig, inference: Inference = PLAIN) -> "Predictor":
        """Load the pre-trained model, without adaptation."""
        return cls(load_base(model), model.precision, inference=inference)

    @classmethod
    def adapted(cls, folder: Path, model: ModelConfig, inference: Inference = PLAIN) -> "Predictor":
        """Load the adapter that stage search_train wrote to `folder`, and its base model."""
        return cls(load_adapted(folder, model)[0].sam, model.precision, inference=inference)

    @classmethod
    def merged(
        cls, folder: Path, precision: str = "auto", device: str = "auto", inference: Inference = PLAIN
    ) -> "Predictor":
        """Load the model that stage merge wrote to `folder`; it needs no other file."""
        return cls(load_merged(folder), precision, device, inference)

    def using(self, inference: Inference) -> "Predictor":
        """Return a predictor with the same model, which is in memory once, that is used in another way."""
        other = copy(self)
        other._inference = inference
        return other

    @property
    def segmenter(self) -> PromptFreeSegmenter:
        """The model, in evaluation mode on its device."""
        return self._segmenter

    @property
    def precision(self) -> str:
        """The precision of its matrix products, decided: "float32" or "bf16"."""
        return "bf16" if decide_precision(self._precision, self._device) == "bf16" else "float32"

    @property
    def image_size(self) -> int:
        """Side of the square, in pixels, to which images are resized on their longer side."""
        return self._segmenter.image_size

    @property
    def window(self) -> int | None:
        """Side of the parts in which it sees images, in their pixels; None if it sees them whole."""
        scale = self._segmenter.scale
        return None if scale is None else window_side(self.image_size, scale)

    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the probability that a pixel is foreground, or that it is of each class.

        Args:
            images: each (H, W, 3) uint8, RGB, of a size of its own.

        Returns:
            For each image (H, W) float32 in 0..1, at the image's own size; from a model of K > 1 classes
            (K, H, W), of which the background has what is left to 1.
        """
        return [to_probabilities(logits) for logits in self.logits(images)]

    @torch.no_grad()
    def logits(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the mask logits of every image, (K, H, W) float32 at its own size; the background's logit is 0.

        A model that was trained on crops sees an image part by part, at the scale of its training.
        """
        if (scale := self._segmenter.scale) is None:
            return mean_over_flips(self._of_whole_images, images, self._inference.flips)
        return [self._of_parts(image, scale) for image in images]

    def with_flips(self, images: Sequence[np.ndarray], flips: Sequence[Flips]) -> Iterator[list[np.ndarray]]:
        """Yield the probabilities of images (H, W, 3) uint8 with each of some flips, from the fewest on.

        Of images that are seen whole every flip is predicted once for all of them, and when it is asked for.
        """
        if self.window is None:
            for name, found in means_over_flips(self._of_whole_images, images):
                if name in flips:
                    yield [to_probabilities(logits) for logits in found]
        else:
            for name in flips:
                yield self.using(replace(self._inference, flips=name))(images)

    def logits_of_pieces(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return what `logits` returns of images that the caller has cut: each goes into the input in one piece.

        Args:
            images: each (H, W, 3) uint8; no side is longer than `window`, if there is one.
        """
        return mean_over_flips(self._of_pieces, images, self._inference.flips)

    def _of_pieces(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        if (window := self.window) is None:
            return self._of_whole_images(images)
        scale = self.image_size / window
        with torch.no_grad(), self._held.hold():
            return [logits.numpy() for logits in square_logits(self._segmenter, images, scale, self._precision)]

    def _of_parts(self, image: np.ndarray, scale: float) -> np.ndarray:
        how = self._inference
        found = np.empty((self._segmenter.classes, *image.shape[:2]), dtype=np.float32)
        with torch.no_grad(), self._held.hold():
            for top, logits in tiled_logits(self._segmenter, image, scale, self._precision, how.overlap, how.flips):
                found[:, top : top + logits.shape[1]] = logits
        return found

    @torch.no_grad()
    def _of_whole_images(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        size = self.image_size
        shapes = [resized_shape(image.shape[0], image.shape[1], size) for image in images]
        with self._held.hold(), autocast(self._precision, self._device):
            low_res_masks = segment_in_turns(self._segmenter, self._squares(images, shapes))
        logits = self._segmenter.upscale(low_res_masks)
        found = []
        for row, image, (height, width) in zip(logits, images, shapes, strict=True):
            inside = row[None, :, :height, :width]
            full = F.interpolate(inside, size=image.shape[:2], mode="bilinear", align_corners=False)[0]
            found.append(full.cpu().numpy())
        return found

    def _squares(self, images: Sequence[np.ndarray], shapes: Sequence[tuple[int, int]]) -> Tensor:
        # As upstream: what lies beyond an image is zero to the encoder, so it has the mean colour before that.
        size = self.image_size
        squares = self._segmenter.sam.padding().repeat(len(images), 1, size, size)
        for square, image, (height, width) in zip(squares, images, shapes, strict=True):
            pixels = np.ascontiguousarray(resize(image, (height, width), Image.Resampling.BILINEAR))
            square[:, :height, :width] = torch.tensor(pixels).permute(2, 0, 1)
        return squares
