"""Run SAM's mask decoder on many images and many prompts in one batch."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.sam.upstream import MaskDecoder


def decode_masks(
    decoder: MaskDecoder,
    image_embeddings: Tensor,
    image_pe: Tensor,
    sparse_prompt_embeddings: Tensor,
    dense_prompt_embeddings: Tensor,
    images: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Run SAM's mask decoder on a batch whose rows are pairs of an image and its prompt.

    Upstream's `predict_masks` repeats one image for all prompts, so a batch of images needs a loop there.

    Args:
        image_embeddings: (B, C, H, W), one for each row of prompts.
        image_pe: (1, C, H, W).
        sparse_prompt_embeddings: (B, N, C); N may be 0.
        dense_prompt_embeddings: (B, C, H, W).
        images: normalised, (B, 3, S, S); for a decoder with a detail path.

    Returns:
        low_res_masks (B, T, 4H, 4W), mask logits, and iou_predictions (B, T), for all T mask tokens. With a detail
        path they are as large as that says.

    Source: arXiv:2304.02643, Appendix A, "Lightweight mask decoder".
    """
    batch, channels, height, width = image_embeddings.shape
    own_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own_tokens.expand(batch, -1, -1), sparse_prompt_embeddings], dim=1)
    tokens, grid = decoder.transformer(
        image_embeddings + dense_prompt_embeddings, image_pe.expand(batch, -1, -1, -1), tokens
    )
    upscaled = decoder.output_upscaling(grid.transpose(1, 2).reshape(batch, channels, height, width))
    mask_tokens = tokens[:, 1 : 1 + decoder.num_mask_tokens]
    hypernetworks = decoder.output_hypernetworks_mlps
    kernels = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(hypernetworks)], dim=1)
    return masks_of_kernels(decoder, kernels, upscaled, images), decoder.iou_prediction_head(tokens[:, 0])


def masks_of_kernels(decoder: nn.Module, kernels: Tensor, upscaled: Tensor, images: Tensor | None) -> Tensor:
    """Return the mask logits that mask tokens' vectors make of features, refined by a detail path if there is one.

    Args:
        decoder: of any family.
        kernels: the vector of every mask, (B, T, C).
        upscaled: the decoder's last features, (B, C, h, w).
        images: normalised, (B, 3, S, S); without, a detail path has no part.

    Returns:
        (B, T, h, w), or as large as the detail path says.
    """
    if (detail := getattr(decoder, "detail", None)) is None or images is None:
        return torch.einsum("btc,bchw->bthw", kernels, upscaled)
    # SAM 3's features have a place for every 3.5 pixels.
    quarter = (images.shape[-2] // 4, images.shape[-1] // 4)
    if upscaled.shape[-2:] != quarter:
        upscaled = F.interpolate(upscaled, size=quarter, mode="bilinear", align_corners=False)
    masks: Tensor = detail(images, upscaled, kernels)
    return masks
