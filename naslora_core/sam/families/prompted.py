"""SAM's prompt encoder and mask decoder, which the original and MobileSAM share, around an image encoder."""

from typing import Any

from torch import Tensor, nn

from naslora_core.sam.decode import decode_masks
from naslora_core.sam.families.model import Features, Sam
from naslora_core.sam.specs import ModelSpec
from naslora_core.sam.upstream import MaskDecoder, PromptEncoder, TwoWayTransformer
from naslora_core.sam.upstream import Sam as UpstreamSam


class PromptedSam(UpstreamSam, Sam):
    """segment-anything's model, which its `SamPredictor` takes, with any image encoder that gives one embedding."""

    def encode(self, images: Tensor) -> Features:
        """Return embeddings (B, C, h, w) alone."""
        return (self.image_encoder(images),)

    def predict_masks(
        self, features: Features, images: Tensor | None = None, count: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return masks with SAM's "no mask" embedding as the only prompt, (B, count, 4h, 4w), and quality (B, T)."""
        prompts = self.prompt_encoder
        return decode_masks(
            self.mask_decoder,
            features[0],
            prompts.get_dense_pe(),
            None,
            prompts.no_mask_embed.weight.reshape(1, -1, 1, 1),
            images,
            count,
        )

    def mask_channels(self) -> int:
        """Return the channels of a mask token's vector."""
        return int(self.mask_decoder.output_hypernetworks_mlps[0].layers[-1].out_features)

    def quality_layer(self) -> nn.Linear:
        """Return the last layer of the head that predicts the quality of masks."""
        layer: nn.Linear = self.mask_decoder.iou_prediction_head.layers[-1]
        return layer


def prompted_parts(spec: ModelSpec, grid_size: int) -> dict[str, Any]:
    """Return a fresh prompt encoder and mask decoder by the names of a model's arguments.

    Args:
        spec: of the model.
        grid_size: side of the embeddings.
    """
    return {
        "prompt_encoder": PromptEncoder(
            embed_dim=spec.embed_channels,
            image_embedding_size=(grid_size, grid_size),
            input_image_size=(spec.image_size, spec.image_size),
            mask_in_chans=16,
        ),
        "mask_decoder": MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=2,
                embedding_dim=spec.embed_channels,
                mlp_dim=spec.decoder_mlp_dim,
                num_heads=spec.decoder_heads,
            ),
            transformer_dim=spec.embed_channels,
            iou_head_depth=3,
            iou_head_hidden_dim=spec.iou_head_hidden_dim,
        ),
    }
