"""SAM's prompt encoder and mask decoder, which the original and MobileSAM share, around an image encoder."""

from typing import Any

from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from segment_anything.modeling import Sam as UpstreamSam
from torch import Tensor, nn

from naslora_core.sam.decode import decode_masks
from naslora_core.sam.families.model import Features, Sam


class PromptedSam(UpstreamSam, Sam):
    """segment-anything's model, which its `SamPredictor` takes, with any image encoder that gives one embedding."""

    def encode(self, images: Tensor) -> Features:
        """Return embeddings (B, C, h, w) alone."""
        return (self.image_encoder(images),)

    def predict_masks(self, features: Features, images: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return masks with SAM's "no mask" embedding as the only prompt, (B, T, 4h, 4w), and their quality."""
        embeddings, prompts = features[0], self.prompt_encoder
        # Not len(), which would make a number of an exported model's batch size.
        batch, channels, height, width = embeddings.shape
        return decode_masks(
            self.mask_decoder,
            embeddings,
            prompts.get_dense_pe(),
            embeddings.new_zeros(batch, 0, channels),
            prompts.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(batch, -1, height, width),
            images,
        )

    def mask_channels(self) -> int:
        """Return the channels of a mask token's vector."""
        return int(self.mask_decoder.output_hypernetworks_mlps[0].layers[-1].out_features)

    def quality_layer(self) -> nn.Linear:
        """Return the last layer of the head that predicts the quality of masks."""
        layer: nn.Linear = self.mask_decoder.iou_prediction_head.layers[-1]
        return layer


def prompted_parts(
    embed_channels: int, grid_size: int, image_size: int, heads: int, mlp_dim: int, iou_head_hidden_dim: int
) -> dict[str, Any]:
    """Return a fresh prompt encoder and mask decoder by the names of a model's arguments.

    Args:
        embed_channels: of the image embeddings, the prompts and the decoder.
        grid_size: side of the embeddings.
        image_size: side of the square input, in pixels.
        heads: of the decoder's attention.
        mlp_dim: hidden channels of its MLPs.
        iou_head_hidden_dim: hidden channels of the head that predicts quality.
    """
    return {
        "prompt_encoder": PromptEncoder(
            embed_dim=embed_channels,
            image_embedding_size=(grid_size, grid_size),
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        ),
        "mask_decoder": MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=embed_channels, mlp_dim=mlp_dim, num_heads=heads),
            transformer_dim=embed_channels,
            iou_head_depth=3,
            iou_head_hidden_dim=iou_head_hidden_dim,
        ),
    }
