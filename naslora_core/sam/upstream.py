"""The modules of segment-anything that models are built of, without the rest of that package.

Its `__init__` imports the predictor, and that torchvision, which takes as long as torch itself. Here it runs when
somebody asks the package for a name, so that `from segment_anything import SamPredictor` works before and after.
"""

from naslora_core.deferred import defer_package

defer_package("segment_anything")

from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer  # noqa: E402
from segment_anything.modeling.common import LayerNorm2d  # noqa: E402
from segment_anything.modeling.image_encoder import Attention, Block, get_rel_pos  # noqa: E402

__all__ = [
    "Attention",
    "Block",
    "ImageEncoderViT",
    "LayerNorm2d",
    "MaskDecoder",
    "PromptEncoder",
    "Sam",
    "TwoWayTransformer",
    "get_rel_pos",
]
