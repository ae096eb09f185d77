"""What to say of a checkpoint of no known layout: what it looks like, and what is supported."""

from collections.abc import Mapping

from torch import Tensor

from naslora_core.errors import few
from naslora_core.sam.layouts.layout import LAYOUTS

# A part of a name that tells a family, and what that is, in words; the first that fits is said.
_SIGNS = (
    ("lora_A.", "a LoRA or another adapter of PEFT; merge it into its model there (merge_and_unload) and save that"),
    ("lora_A", "an adapter without its base; give the base that it was trained on, or merge both"),
    (".base_layer.", "a model with adapters of PEFT in it; merge them there (merge_and_unload) and save that"),
    ("detector.", "SAM 3"),
    ("image_encoder.trunk.", "SAM 2, in the layout of Meta's files"),
    ("vision_encoder.backbone.", "SAM 2 or a later one, in the layout of Hugging Face"),
    ("adaptmlp", "SAM with adapters of its own between the layers"),
    ("Adapter.", "SAM with adapters of its own between the layers, as SAM-Med2D and Medical SAM Adapter have"),
    ("text_model.", "a model of images and text, such as CLIP"),
    ("cls_token", "a vision transformer without SAM's neck and decoder, such as DINO or MAE"),
    ("decode_head.", "a model of MMSegmentation"),
    ("segmentation_head.", "a model of segmentation-models-pytorch"),
    ("mask_decoder.", "a mask decoder without its image encoder"),
    ("layer1.0.conv1.", "a ResNet, or a model on top of one"),
)


def describe_unknown(weights: Mapping[str, Tensor]) -> str:
    """Say of which family weights of an unknown layout seem to be, how large they are, and what is supported."""
    family = next((words for sign, words in _SIGNS if any(sign in key for key in weights)), "no family known here")
    millions = sum(value.numel() for value in weights.values()) / 1e6
    names = few(sorted(weights), 3)
    return (
        f"{len(weights)} tensors of {millions:.1f} M values ({names}) look like {family}. Supported are "
        f"{'; '.join(LAYOUTS)}, also in dictionaries such as state_dict and model, after prefixes such as module., and "
        "in half precision"
    )
