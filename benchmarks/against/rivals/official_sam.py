"""segment-anything's own modules in sizes that its package does not build, such as sam_tiny's."""

from functools import partial

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

from naslora_core.sam.specs import ViTSpec, find_spec


def build_official(name: str, image_size: int) -> Sam:
    """Return upstream's model with random weights, put together as its `build_sam` does.

    Args:
        name: "sam_tiny", "vit_b", "vit_l" or "vit_h".
        image_size: side of the square input, in pixels.
    """
    spec = find_spec(name, image_size)
    assert isinstance(spec, ViTSpec)
    torch.manual_seed(0)
    sam = Sam(
        image_encoder=ImageEncoderViT(
            img_size=image_size,
            patch_size=spec.patch_size,
            embed_dim=spec.encoder_width,
            depth=spec.encoder_depth,
            num_heads=spec.encoder_heads,
            mlp_ratio=4,
            out_chans=spec.embed_channels,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=spec.use_rel_pos,
            rel_pos_zero_init=False,
            window_size=spec.window_size,
            global_attn_indexes=spec.global_attn_indexes,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=spec.embed_channels,
            image_embedding_size=(spec.grid_size, spec.grid_size),
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(2, spec.embed_channels, spec.decoder_heads, spec.decoder_mlp_dim),
            transformer_dim=spec.embed_channels,
            iou_head_depth=3,
            iou_head_hidden_dim=spec.iou_head_hidden_dim,
        ),
    )
    for key, parameter in sam.named_parameters():
        if "rel_pos" in key:  # zero at first, which would hide them
            nn.init.normal_(parameter, std=0.1)
    return sam.eval()


def low_res_masks(sam: Sam, normalised: Tensor) -> Tensor:
    """Return the first mask's logits without prompts, (B, 1, S / 4, S / 4), of normalised images (B, 3, S, S).

    Upstream's decoder takes one image at a time. Here the images of a batch go through its modules together, which
    is faster than its loop: what a user who cares for speed would write.
    """
    decoder, prompts = sam.mask_decoder, sam.prompt_encoder
    embeddings = sam.image_encoder(normalised)
    batch, channels, height, width = embeddings.shape
    dense = prompts.no_mask_embed.weight.reshape(1, -1, 1, 1)
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(batch, -1, -1)
    tokens, grid = decoder.transformer(embeddings + dense, prompts.get_dense_pe().expand(batch, -1, -1, -1), tokens)
    upscaled = decoder.output_upscaling(grid.transpose(1, 2).reshape(batch, channels, height, width))
    vectors = [mlp(tokens[:, 1 + place]) for place, mlp in enumerate(decoder.output_hypernetworks_mlps)]
    masks = torch.einsum("btc,bchw->bthw", torch.stack(vectors, dim=1), upscaled)
    return masks[:, :1].float()
