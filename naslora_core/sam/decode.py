"""SAM's mask decoder for many images and many prompts in one batch, in fewer operations than upstream's."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.sam.detail import products
from naslora_core.sam.upstream import MaskDecoder, TwoWayTransformer


def decode_masks(
    decoder: MaskDecoder,
    image_embeddings: Tensor,
    image_pe: Tensor,
    sparse_prompt_embeddings: Tensor | None,
    dense_prompt_embeddings: Tensor,
    images: Tensor | None = None,
    count: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Run SAM's mask decoder on a batch whose rows are pairs of an image and its prompt.

    Upstream's `predict_masks` repeats one image for all prompts, so a batch of images needs a loop there. Results are
    upstream's up to the rounding of floats.

    Args:
        image_embeddings: (B, C, H, W), one for each row of prompts.
        image_pe: (1, C, H, W).
        sparse_prompt_embeddings: (B, N, C); None without prompts, where until they see an image the decoder's own
            tokens are the same for all, and are computed once.
        dense_prompt_embeddings: (B, C, H, W), or what is the same for all images or places.
        images: normalised, (B, 3, S, S); for a decoder with a detail path.
        count: of masks that are wanted, the first; None is all of them.

    Returns:
        low_res_masks (B, count, 4H, 4W), mask logits, and iou_predictions (B, T), for all T mask tokens. With a detail
        path masks are as large as that says.

    Source: arXiv:2304.02643, Appendix A, "Lightweight mask decoder".
    """
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None]
    if sparse_prompt_embeddings is not None:
        batch = sparse_prompt_embeddings.shape[0]
        tokens = torch.cat([tokens.expand(batch, -1, -1), sparse_prompt_embeddings], dim=1)
    size = image_embeddings.shape[2:]
    grid, places = ((x.flatten(2).transpose(1, 2)) for x in (image_embeddings + dense_prompt_embeddings, image_pe))
    tokens, grid = look_both_ways(decoder.transformer, tokens, grid, places)
    upscaled = upscale(decoder.output_upscaling, grid.unflatten(1, size))
    kernels = [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps[:count])]
    masks = masks_of_kernels(decoder, torch.stack(kernels, dim=1), upscaled, images)
    return masks, decoder.iou_prediction_head(tokens[:, 0])


def look_both_ways(
    transformer: TwoWayTransformer, tokens: Tensor, grid: Tensor, places: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what tokens and image become by looking at each other, as upstream's module does.

    What is computed of the image is one product for each layer, to which the positions add what they are worth alone:
    they are the same for all images.

    Args:
        transformer: whose weights are used.
        tokens: (B, N, C), or (1, N, C) of tokens that are the same for all images.
        grid: the image's, (B, H * W, C).
        places: their positions, (1, H * W, C).

    Returns:
        (B, N, C) and (B, H * W, C).
    """
    queries = tokens
    for layer in transformer.layers:
        to_image, to_tokens = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        if layer.skip_first_layer_pe:
            queries = layer.norm1(layer.self_attn(queries, queries, queries))
        else:
            placed = queries + tokens
            queries = layer.norm1(queries + layer.self_attn(placed, placed, queries))
        v, k, q = _project(grid, places, to_image.v_proj, to_image.k_proj, to_tokens.q_proj)
        queries = layer.norm2(queries + _attend(to_image, to_image.q_proj(queries + tokens), k, v))
        queries = layer.norm3(queries + layer.mlp(queries))
        k = to_tokens.k_proj(queries + tokens)
        grid = layer.norm4(grid + _attend(to_tokens, q, k, to_tokens.v_proj(queries)))
    last = transformer.final_attn_token_to_image
    v, k = _project(grid, places, last.v_proj, last.k_proj)
    queries = queries + _attend(last, last.q_proj(queries + tokens), k, v)
    return transformer.norm_final_attn(queries), grid


def _project(grid: Tensor, places: Tensor, plain: nn.Linear, *placed: nn.Linear) -> tuple[Tensor, ...]:
    """Return a layer of the grid, and others of the grid with its positions, (B, H * W, D) each."""
    layers = (plain, *placed)
    weight, bias = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("weight", "bias"))
    shift = F.linear(places, torch.cat([layer.weight for layer in placed]))
    shift = F.pad(shift, (plain.out_features, 0)) + bias
    return (F.linear(grid, weight) + shift.to(grid.dtype)).split([layer.out_features for layer in layers], dim=-1)


def _attend(attention: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend with what is projected already, (B, N, D) and (B, M, D), or (1, N, D) -> (B, N, C)."""
    q, k, v = (x.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    shares = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1)
    attended: Tensor = attention.out_proj((shares @ v).transpose(1, 2).flatten(2))
    return attended


def upscale(layers: Any, grid: Tensor) -> Tensor:
    """Return the last features, (B, C / 8, 4H, 4W), of a grid (B, H, W, C), as upstream's layers do.

    Each transposed convolution, of 2 x 2 with as large a stride, gives every place four new ones, which no other place
    has a part in: a product with a matrix. Where they lie in the image matters to nothing before the end.
    """
    first, norm, activation, second, last_activation = layers
    x = F.layer_norm(_to_four(grid, first), norm.weight.shape, norm.weight, norm.bias, norm.eps)
    x = last_activation(_to_four(activation(x), second))  # (B, H, W, 2, 2, 2, 2, C / 8)
    x = x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(x.shape[0], 4 * x.shape[1], 4 * x.shape[2], x.shape[-1])
    return x.permute(0, 3, 1, 2)


def _to_four(x: Tensor, layer: Any) -> Tensor:
    """Return the four places that a layer makes of each, (..., C) -> (..., 2, 2, D)."""
    weight = layer.weight.permute(2, 3, 1, 0)  # (2, 2, D, C)
    bias = layer.bias.expand(4, -1).flatten()
    return F.linear(x, weight.flatten(0, 2), bias).unflatten(-1, weight.shape[:3])


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
        return products(upscaled, kernels)
    # SAM 3's features have a place for every 3.5 pixels.
    quarter = (images.shape[-2] // 4, images.shape[-1] // 4)
    if upscaled.shape[-2:] != quarter:
        upscaled = F.interpolate(upscaled, size=quarter, mode="bilinear", align_corners=False)
    masks: Tensor = detail(images, upscaled, kernels)
    return masks
