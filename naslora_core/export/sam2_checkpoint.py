"""Export a merged SAM 2 under its authors' names, and the lines that use it with their package."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from naslora_core.errors import MergeError
from naslora_core.export.plain_sam import PlainSam
from naslora_core.export.usage import in_python
from naslora_core.sam.layouts.sam2 import to_official
from naslora_core.sam.square import PADDING_RGB

# The authors' configurations, by the letters of their sizes.
_CONFIGS = {
    "sam2_hiera_tiny": "t",
    "sam2_hiera_small": "s",
    "sam2_hiera_base_plus": "b+",
    "sam2_hiera_large": "l",
}
# Their predictor squashes an image to a square, which the model was not trained with, so it is given a square. Without
# `apply_postprocessing=False` it may return a mask that nobody trained where the trained one looks unstable.
_LINES = """\
import numpy as np
import torch
from PIL import Image
from sam2.build_sam import build_sam2
from sam2.sam2_image_predictor import SAM2ImagePredictor

model = build_sam2("configs/sam2.1/sam2.1_hiera_{letter}.yaml", device="cpu", apply_postprocessing=False)
report = model.load_state_dict(torch.load({output}, weights_only=True)["model"], strict=False)
assert not report.unexpected_keys  # What is missing follows objects through videos.
predictor = SAM2ImagePredictor(model)

image = Image.open("photo.jpg").convert("RGB")
square = Image.new("RGB", (max(image.size),) * 2, {padding})
square.paste(image)
predictor.set_image(np.asarray(square))
masks, quality, low_res_masks = predictor.predict(multimask_output=False)
mask = masks[0, : image.height, : image.width] > 0  # (H, W), bool"""


def official_content(plain: PlainSam, merged: Path) -> dict[str, Mapping[str, Tensor]]:
    """Return what a file of the authors holds: weights under "model", without the memory of videos.

    Raises:
        MergeError: if the authors have no model of this size.
    """
    if plain.name not in _CONFIGS:
        raise MergeError(
            f"{merged} is a {plain.name}, of which the authors' package has no size; use naslora export hf, onnx, torch"
        )
    return {"model": to_official(plain.weights)}


def official_lines(plain: PlainSam, output: Path) -> str:
    """Return Python lines that segment "photo.jpg" with the authors' package."""
    return _LINES.format(letter=_CONFIGS[plain.name], output=in_python(output), padding=PADDING_RGB)
