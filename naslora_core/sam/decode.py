"""Run SAM's mask decoder on many images and many prompts in one batch."""

import torch
from segment_anything.modeling import MaskDecoder
from torch import Tensor


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
    if (detail := getattr(decoder, "detail", None)) is not None and images is not None:
        low_res_masks = detail(images, upscaled, kernels)
    else:
        low_res_masks = torch.einsum("btc,bchw->bthw", kernels, upscaled)
    return low_res_masks, decoder.iou_prediction_head(tokens[:, 0])
