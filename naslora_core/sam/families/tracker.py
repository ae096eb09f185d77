"""What SAM 2 and SAM 3 share: features at three scales, and a mask decoder that takes the finer two."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from naslora_core.errors import ConfigError
from naslora_core.sam.decode import masks_of_kernels
from naslora_core.sam.families.model import Features, Sam
from naslora_core.sam.families.vit_attention import fused

_ATTENTION = "naslora"


class TrackerSam(Sam):
    """transformers' `Sam2Model` or `Sam3TrackerModel`, by its parts, without prompts and for many images at once.

    Weights have transformers' names, except that its `vision_encoder` is the `image_encoder` here. Images keep their
    shape and are padded at the right and bottom, as for the original SAM; the authors squash them to a square instead.

    Args:
        image_encoder: gives features at strides of 16, 8 and 4 pixels, of SAM 3 of 14, 7 and 3.5, by one pyramid.
        model: transformers' model, whose other parts become this model's.
        mean: of RGB in 0..1.
        std: of RGB in 0..1.

    Source: arXiv:2408.00714, Appendix C; the modules are transformers'.
    """

    def __init__(
        self,
        image_encoder: nn.Module,
        model: Any,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = model.prompt_encoder
        self.mask_decoder = model.mask_decoder
        self.shared_image_embedding: Any = model.shared_image_embedding
        self.no_memory_embedding: nn.Parameter = model.no_memory_embedding
        for name, values in (("pixel_mean", mean), ("pixel_std", std)):
            self.register_buffer(name, 255 * torch.tensor(values).view(3, 1, 1), persistent=False)

    def encode(self, images: Tensor) -> Features:
        """Return embeddings (B, C, h, w), and finer features (B, C / 4, 2h, 2w) and (B, C / 8, 4h, 4w)."""
        embeddings, finer, finest = self.image_encoder(images)
        decoder = self.mask_decoder
        return embeddings + self.no_memory_embedding.view(1, -1, 1, 1), decoder.conv_s1(finer), decoder.conv_s0(finest)

    def predict_masks(
        self, features: Features, images: Tensor | None = None, count: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return masks (B, count, 4h, 4w), and all tokens' quality in 0..1, with "no mask" as the only prompt.

        No prompt is no sparse token at all, as in the authors' `SAM2ImagePredictor`; transformers' own forward adds
        two that say "not a point", and so does the authors' tracker of objects in videos.
        """
        embeddings, finer, finest = features
        decoder, batch = self.mask_decoder, embeddings.shape[0]
        own = torch.cat([decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens, grid = decoder.transformer(
            point_embeddings=own.expand(batch, 1, -1, -1),
            image_embeddings=embeddings + self.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1),
            image_positional_embeddings=self._positions(embeddings),
            attention_similarity=None,
        )
        upscaled = decoder.upscale_conv1(grid.squeeze(1).transpose(1, 2).reshape(embeddings.shape)) + finer
        upscaled = decoder.activation(decoder.upscale_layer_norm(upscaled))
        upscaled = decoder.activation(decoder.upscale_conv2(upscaled) + finest)
        # The score of an object's presence comes first, the quality of the masks second.
        kernels = [mlp(tokens[:, 0, 2 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps[:count])]
        masks = masks_of_kernels(decoder, torch.stack(kernels, dim=1), upscaled, images)
        return masks, decoder.iou_prediction_head(tokens[:, 0, 1])

    def mask_channels(self) -> int:
        """Return the channels of a mask token's vector."""
        return int(self.mask_decoder.output_hypernetworks_mlps[0].proj_out.out_features)

    def quality_layer(self) -> nn.Linear:
        """Return the last layer of the head that predicts the quality of masks."""
        layer: nn.Linear = self.mask_decoder.iou_prediction_head.proj_out
        return layer

    def _positions(self, embeddings: Tensor) -> Tensor:
        """Return the position of every place of the embeddings, (1, C, h, w)."""
        height, width = embeddings.shape[-2:]
        like = self.shared_image_embedding.positional_embedding
        y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
        x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
        places = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1)
        positions: Tensor = self.shared_image_embedding(places)
        return positions.permute(2, 0, 1)[None]


class NoPositions(nn.Module):
    """Takes the place of the position encoding of a pyramid's levels, which only a memory of videos uses.

    transformers' own caches tensors, those of an export's tracing among them.
    """

    def forward(self, *_: Any) -> Tensor:
        """Return nothing, as a tensor."""
        return torch.empty(0)


def build_model(name: str, config: Any) -> Any:
    """Build a model of transformers with random weights, whose attention runs on torch's fused kernels."""
    import transformers

    transformers.AttentionInterface.register(_ATTENTION, _attend)
    config._attn_implementation = _ATTENTION
    return getattr(transformers, name)(config)


def tracker_configs(spec: Any, patch_size: int) -> dict[str, dict[str, Any]]:
    """Return the configurations of prompt encoder and mask decoder by the names of transformers' arguments.

    Args:
        spec: a `TrackerSpec`.
        patch_size: side of the place of an embedding, in pixels.
    """
    return {
        "prompt_encoder_config": {
            "hidden_size": spec.embed_channels,
            "image_size": spec.image_size,
            "patch_size": patch_size,
        },
        "mask_decoder_config": {
            "hidden_size": spec.embed_channels,
            "mlp_dim": spec.decoder_mlp_dim,
            "num_attention_heads": spec.decoder_heads,
            "iou_head_hidden_dim": spec.iou_head_hidden_dim,
        },
    }


def count_multiplications(encoder: nn.Module, image_size: int) -> float:
    """Return the multiplications of linear layers, convolutions and attention for one image, without running it.

    Args:
        encoder: of images (1, 3, S, S).
        image_size: S, in pixels.
    """
    shapes = {name: value.to("meta") for name, value in [*encoder.named_parameters(), *encoder.named_buffers()]}
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        functional_call(encoder, shapes, (torch.empty(1, 3, image_size, image_size, device="meta"),))
    # A multiplication and an addition count as two operations.
    return counter.get_total_flops() / 2


def require_transformers(model: str) -> None:
    """Check that transformers is there and knows a model.

    Raises:
        ConfigError: if not, with the command that installs it.
    """
    try:
        import transformers

        getattr(transformers, model)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"this model is built from transformers' {model}, which is not installed ({error}); "
            "run: pip install 'naslora[hf]'"
        ) from error


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """Attend as transformers' layers ask for it: (B, heads, N, D) each, (B, N, heads, D) back."""
    return fused(query, key, value, scaling).transpose(1, 2), None
