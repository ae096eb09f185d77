"""What the models of all families have in common: an image goes in, embeddings and masks without prompts come out."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from naslora_core.geometry.token_grid import TokenGrid

# Of an image: embeddings (B, C, h, w), then what the decoder takes beside them, from coarse to fine.
Features = Sequence[Tensor]


class ImageEncoder(Protocol):
    """What an image encoder has beside its layers.

    Every linear layer that can be adapted is given tokens (B, H, W, C), of a window or of the image, so that
    operations in space know a token's neighbours.

    Attributes:
        img_size: side of the square input, in pixels.
        gradient_checkpointing: keep only the input of each block for the backward pass (arXiv:1604.06174).
        default_targets: ends of the names of the layers that are adapted unless others are named.
    """

    img_size: int
    gradient_checkpointing: bool
    default_targets: tuple[str, ...]

    def grid_of(self, layer: str) -> TokenGrid:
        """Return what a linear layer sees, by its name within the encoder."""
        ...

    def multiplications(self) -> float:
        """Return the multiplications of one image's encoding."""
        ...


class Sam(nn.Module):
    """A model that segments anything: image encoder, prompt encoder and mask decoder.

    A mask decoder has `mask_tokens`, a hypernetwork for each in `output_hypernetworks_mlps`, and an
    `iou_prediction_head`. It may be given a `class_count`, a `detail` path and a `scale`, see `MaskHead`.

    Attributes:
        family: "sam", "mobile_sam", "sam2" or "sam3".
        image_encoder: see `ImageEncoder`.
        pixel_mean: subtracted from RGB in 0..255, (3, 1, 1).
        pixel_std: by which that is divided, (3, 1, 1).
    """

    family: ClassVar[str]
    image_encoder: Any
    prompt_encoder: Any
    mask_decoder: Any
    pixel_mean: Tensor
    pixel_std: Tensor

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.pixel_mean.device

    def padding(self) -> Tensor:
        """Return the colour of the square beyond an image, RGB in 0..255, (3, 1, 1): zero to the encoder."""
        return self.pixel_mean

    def encode(self, images: Tensor) -> Features:
        """Return the features of normalised images (B, 3, S, S)."""
        raise TypeError(f"{type(self).__name__} must define encode()")

    def predict_masks(
        self, features: Features, images: Tensor | None = None, count: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return masks without prompts, those of the first mask tokens.

        Args:
            features: of `encode`.
            images: normalised, (B, 3, S, S); for a decoder with a detail path.
            count: of masks; None is one for each of the T mask tokens.

        Returns:
            low_res_masks (B, count, h, w), mask logits, and iou_predictions (B, T), for all T mask tokens.
        """
        raise TypeError(f"{type(self).__name__} must define predict_masks()")

    def mask_channels(self) -> int:
        """Return the channels of the vector that a hypernetwork makes of a mask token."""
        raise TypeError(f"{type(self).__name__} must define mask_channels()")

    def quality_layer(self) -> nn.Linear:
        """Return the last layer of the head that predicts the quality of masks; its outputs are mask tokens."""
        raise TypeError(f"{type(self).__name__} must define quality_layer()")
