"""What is known of a model of any family. Nothing in this package imports anything heavy."""

from dataclasses import dataclass
from typing import Literal

# Side of the square input in pixels; "native" is what a model was trained with.
ImageSize = int | Literal["native"]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is known of a model of any family.

    Attributes:
        image_size: side of the square input, in pixels.
        multiple_of: what an image size has to be a multiple of, in pixels.
        embed_channels: channels of the image embeddings, the prompts and the mask decoder.
        decoder_heads: of the mask decoder's attention.
        decoder_mlp_dim: hidden channels of the mask decoder's MLPs.
        iou_head_hidden_dim: hidden channels of the head that predicts the quality of masks.
        files: what trained weights are called; * stands for the first six digits of the file's SHA-256. Empty if nobody
            has trained the model.
        source: where the authors publish them, without https://; empty if they come with this project, or there are
            none.
    """

    image_size: int
    multiple_of: int
    embed_channels: int
    decoder_heads: int
    decoder_mlp_dim: int
    iou_head_hidden_dim: int
    files: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class TrackerSpec(ModelSpec):
    """What SAM 2 and SAM 3 have in common: the mask decoder of SAM 2 (arXiv:2408.00714, Appendix C).

    Attributes:
        pixel_mean: of RGB in 0..1, subtracted from images.
        pixel_std: of RGB in 0..1, by which they are divided then.
    """

    pixel_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    pixel_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_head_hidden_dim: int = 256
