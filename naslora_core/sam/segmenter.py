"""SAM without prompts: one image in, one mask per class out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.sam.build import normalise
from naslora_core.sam.classes import class_count
from naslora_core.sam.families.model import Features, Sam
from naslora_core.sam.head import head_of

# Of images that a CPU predicts at once: one of SAM's own size.
_PIXELS_IN_TURN = 1024**2


class PromptFreeSegmenter(nn.Module):
    """Segment with one mask token per class and SAM's "no mask" embedding as the only prompt.

    Upstream's `Sam.forward` is under no_grad; this one is differentiable. With one class the masks are those
    that `SamPredictor.predict(multimask_output=False)` gives without prompts.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    @property
    def image_size(self) -> int:
        """Side of the square input, in pixels."""
        return int(self.sam.image_encoder.img_size)

    @property
    def classes(self) -> int:
        """Number K of classes without the background."""
        return class_count(self.sam)

    @property
    def scale(self) -> float | None:
        """Pixels of the input for one of the image, if it was trained on crops; else whole images are shrunk to it."""
        return head_of(self.sam).scale

    def forward(self, images: Tensor) -> Tensor:
        """Return mask logits; the background's logit is 0, so the softmax runs over [0, logits].

        Args:
            images: (B, 3, S, S), RGB in 0..255, padded at the right and bottom.

        Returns:
            low_res_masks, (B, K, S / 4, S / 4), of SAM 3 four times its grid, float32; with a detail path
            (B, K, S / 2, S / 2) or (B, K, S, S).
        """
        normalised = normalise(self.sam, images)
        return self.decode(self.sam.encode(normalised), normalised)

    def decode(self, features: Features, images: Tensor | None = None) -> Tensor:
        """Return mask logits, as `forward` does, of the features of B normalised images, and of these."""
        masks, _ = self.sam.predict_masks(features, images, self.classes)
        return masks.float()

    def upscale(self, low_res_masks: Tensor) -> Tensor:
        """Return logits (B, K, S, S) at the size of the input."""
        size = (self.image_size, self.image_size)
        if low_res_masks.shape[-2:] == size:
            return low_res_masks
        return F.interpolate(low_res_masks, size=size, mode="bilinear", align_corners=False)


def predicted_classes(logits: Tensor) -> Tensor:
    """Return the most probable class ids (B, 1, H, W), 0 for the background, of logits (B, K, H, W)."""
    best, index = logits.max(dim=1, keepdim=True)
    return torch.where(best > 0, index + 1, 0)


def freeze_all_but_decoder(sam: Sam) -> None:
    """Freeze everything but the mask decoder (arXiv:2512.03499).

    The heads that predict the quality of several masks, and of SAM 2 whether an object is there, have no part in
    prompt-free use and stay frozen.
    """
    sam.requires_grad_(False)
    sam.mask_decoder.requires_grad_(True)
    for head in ("iou_prediction_head", "pred_obj_score_head"):
        if (unused := getattr(sam.mask_decoder, head, None)) is not None:
            unused.requires_grad_(False)


def count_parameters(module: nn.Module, trainable_only: bool = False) -> int:
    """Return the number of parameters of a module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable_only)


def segment_in_turns(segmenter: PromptFreeSegmenter, images: Tensor) -> Tensor:
    """Return what the segmenter returns of images, without a gradient, and on a CPU a few at a time.

    A CPU is no faster on more, and their wide tensors would be too large for memory that is used again: each would be
    asked for and cleared anew.

    Args:
        segmenter: on any device.
        images: as the segmenter takes them.
    """
    with torch.no_grad():
        if images.device.type != "cpu":
            low_res_masks: Tensor = segmenter(images)
            return low_res_masks
        return torch.cat([segmenter(part) for part in images.split(images_in_turn(images.shape[-1]))])


def images_in_turn(side: int) -> int:
    """Return how many square images of a side in pixels a CPU is to predict at once."""
    return max(1, _PIXELS_IN_TURN // side**2)


def predict_low_res(segmenter: PromptFreeSegmenter, images: Tensor, batch_size: int = 8) -> Tensor:
    """Return logits (N, K, S / 4, S / 4) of uint8 images (N, 3, S, S), in float32 and batch by batch."""
    with torch.no_grad():
        return torch.cat([segmenter(batch) for batch in images.split(batch_size)])
