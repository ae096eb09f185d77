"""What a folder of SAM 2 or SAM 3 for transformers says of the model, and the lines that use it."""

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

from naslora_core.export.usage import in_python, masks_lines
from naslora_core.sam.head import MaskHead
from naslora_core.sam.layouts import sam2, sam3
from naslora_core.sam.specs import Sam2Spec, Sam3Spec, TrackerSpec
from naslora_core.sam.square import PADDING_RGB

# transformers' processors squash an image to a square, which these models were not trained with, and its forward adds a
# point where none is given.
_LINES = """\
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import {model}

sam = {model}.from_pretrained({folder}).eval()
mean, std = (torch.tensor(values).view(3, 1, 1) for values in {normalisation})

def masks_of(image, binarize=True):
    size, (width, height) = {size}, image.size
    w, h = (min(size, max(1, int(side * size / max(width, height) + 0.5))) for side in (width, height))
    square = Image.new("RGB", (size, size), {padding})
    square.paste(image.resize((w, h), Image.Resampling.BILINEAR))
    pixels = (torch.from_numpy(np.array(square)).permute(2, 0, 1)[None] / 255 - mean) / std
    with torch.no_grad():
        finest, finer, embeddings = sam.get_image_embeddings(pixels)
        low_res_masks = sam.mask_decoder(
            image_embeddings=embeddings,
            image_positional_embeddings=sam.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=embeddings.new_zeros(1, 1, 0, embeddings.shape[1]),
            dense_prompt_embeddings=sam.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand_as(embeddings),
            multimask_output=False,
            high_resolution_features=[finest, finer],
        )[0][:, 0]
    whole = F.interpolate(low_res_masks, (size, size), mode="bilinear", align_corners=False)[..., :h, :w]
    logits = F.interpolate(whole, (height, width), mode="bilinear", align_corners=False)[0].numpy()
    return logits > 0 if binarize else logits

"""


class _Names(NamedTuple):
    """A family's module here, and how transformers names its model and a weight of it."""

    family: str
    model: str
    rename: Callable[[str], str]


NAMES: dict[type[TrackerSpec], _Names] = {
    Sam2Spec: _Names("sam2", "Sam2Model", sam2.to_hugging_face),
    Sam3Spec: _Names("sam3", "Sam3TrackerModel", sam3.to_hugging_face),
}


def describe_tracker(spec: TrackerSpec) -> dict[str, Any]:
    """Return the configuration of a model as transformers writes it into config.json; needs transformers."""
    family = resolve_name(f"naslora_core.sam.families.{NAMES[type(spec)].family}")
    config = family.hf_config(spec)
    # Else one of the masks that nobody trained is returned where a trained one looks unstable.
    config.mask_decoder_config.dynamic_multimask_via_stability = False
    described: dict[str, Any] = config.to_dict()
    return described


def tracker_lines(spec: TrackerSpec, head: MaskHead, folder: Path) -> str:
    """Return Python lines that segment "photo.jpg" with an exported folder.

    Args:
        spec: of the model at its image size.
        head: of the model.
        folder: where the model is.
    """
    lines = _LINES.format(
        model=NAMES[type(spec)].model,
        folder=in_python(folder),
        normalisation=(spec.pixel_mean, spec.pixel_std),
        size=spec.image_size,
        padding=PADDING_RGB,
    )
    return masks_lines(lines, head, spec.image_size)
