"""Lines of Python that use an exported model of crops: cut an image into parts, and blend their logits."""

import json
from pathlib import Path

from naslora_core.sam.head import MaskHead
from naslora_core.sam.square import PADDING_RGB, window_side
from naslora_core.sam.tiled import OVERLAP

# They stand alone, and repeat `geometry/tiling.py` and `sam/tiled.py` in few lines. What is before them defines
# `logits_of(part)`.
_TILES = """\
image = np.asarray(Image.open("photo.jpg").convert("RGB"))
window, overlap = {window}, {overlap}  # px of the image: what the model sees of it, and by how much parts overlap

def starts(length):
    count = max(1, -(-(length - overlap) // (window - overlap)))
    return [round(start) for start in np.linspace(0, max(0, length - window), count)]

def weights(length):
    ramp = np.sin(np.pi / 2 * ((np.arange(min(length, window)) + 0.5) / {ramp}).clip(0, 1)) ** 2
    return ramp * ramp[::-1]

height, width = image.shape[:2]
weight = np.outer(weights(height), weights(width))
logits, total = np.zeros(({classes}, height, width)), np.zeros((height, width))
for top in starts(height):
    for left in starts(width):
        rows, columns = slice(top, top + window), slice(left, left + window)
        logits[:, rows, columns] += weight * logits_of(np.ascontiguousarray(image[rows, columns]))
        total[rows, columns] += weight

logits /= total
"""
_MASK = {
    False: "mask = logits[0] > 0  # a probability above 0.5\n",
    True: "mask = np.where(logits.max(0) > 0, logits.argmax(0) + 1, 0)  # class ids, 0 is the background\n",
}
# A part as the input has to be, and the logits of the input as large as the part.
_OF_GRAPH = """
def logits_of(part):
    inside = Image.fromarray(part)
{resize}    square = Image.new("RGB", (size, size), {padding})
    square.paste(inside)
    low_res_masks = {call}
    whole = [Image.fromarray(row).resize((size, size), Image.Resampling.BILINEAR) for row in low_res_masks]
    (w, h), shape = inside.size, part.shape[1::-1]  # Not resize(), which averages where it shrinks.
    points = (w / shape[0], 0, 0, 0, h / shape[1], 0)
    own = [row.crop((0, 0, w, h)).transform(shape, Image.Transform.AFFINE, points, Image.Resampling.BILINEAR)
           for row in whole]
    return np.stack(own)

"""
_RESIZE = """\
    inside = inside.resize(
        [min(size, max(1, int(side * size / {window} + 0.5))) for side in inside.size], Image.Resampling.BILINEAR
    )
"""
_OF_SAM = """
def logits_of(part):
    square = np.full((window, window, 3), {padding}, np.uint8)
    square[: part.shape[0], : part.shape[1]] = part
    predictor.set_image(square)
    whole = predictor.predict(multimask_output=False, return_logits=True)[0]
    return whole[:, : part.shape[0], : part.shape[1]]

"""
_OF_HF = """
def logits_of(part):
    square = np.full((window, window, 3), {padding}, np.uint8)
    square[: part.shape[0], : part.shape[1]] = part
    return masks_of(Image.fromarray(square), binarize=False)[:, : part.shape[0], : part.shape[1]]

"""
_HF = """\
import torch
from PIL import Image
from transformers import SamModel, SamProcessor

{load}
processor = SamProcessor.from_pretrained({source})

def masks_of(image, binarize=True):
    inputs = processor(images=image, return_tensors="pt")
    with torch.no_grad():
        low_res_masks = sam(pixel_values=inputs["pixel_values"], multimask_output=False).pred_masks
    sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
    return processor.post_process_masks(low_res_masks, *sizes, binarize=binarize)[0][0].numpy()

"""


def tiling(image_size: int, scale: float) -> tuple[int, int]:
    """Return what a model of crops sees of an image, and by how much parts overlap, in pixels of the image."""
    window = window_side(image_size, scale)
    return window, round(window * OVERLAP)


def in_python(path: Path) -> str:
    """Return a path as Python code has it, in quotes and with whatever these need."""
    return json.dumps(str(path), ensure_ascii=False)


def describe_tiling(image_size: int, scale: float) -> str:
    """Return in words how an image is cut for a model of crops, and what is done with its logits."""
    window, overlap = tiling(image_size, scale)
    return (
        f"trained on crops at scale {scale:g} (px of the input for one of the image): give it parts of {window} px of "
        f"an image that overlap by {overlap} px, resized by the scale and padded, and blend their logits"
    )


def graph_lines(head: MaskHead, size: int, call: str) -> str:
    """Return Python lines that segment "photo.jpg" with the graph of an exported model of crops.

    Args:
        head: of the model, with a scale.
        size: side of its input.
        call: an expression for low_res_masks (K, s, s) of `square`, a picture of the input's size.
    """
    assert head.scale is not None
    window = window_side(size, head.scale)
    resize = "" if window == size else _RESIZE.format(window=window)
    of_part = _OF_GRAPH.format(resize=resize, padding=PADDING_RGB, call=call)
    return f"from PIL import Image\n\nsize = {size}\n{of_part}{_tiles(head, size)}"


def sam_lines(head: MaskHead, size: int) -> str:
    """Return Python lines that segment "photo.jpg" with segment-anything's `predictor` of a model of crops."""
    assert head.scale is not None
    imports = "import numpy as np\nfrom PIL import Image\n"
    return f"{imports}{_OF_SAM.format(padding=PADDING_RGB)}{_tiles(head, size)}"


def hf_lines(head: MaskHead, size: int, load: str, source: str) -> str:
    """Return Python lines that segment "photo.jpg" with a `SamModel` of transformers.

    Args:
        head: of the model.
        size: side of its input.
        load: lines that define the model, `sam`.
        source: where the processor is loaded from, as Python writes it.
    """
    return masks_lines(_HF.format(load=load, source=source), head, size)


def masks_lines(lines: str, head: MaskHead, size: int) -> str:
    """Return Python lines that segment "photo.jpg", whole or in parts, after lines that define `masks_of(image)`."""
    if head.scale is None:
        return f'{lines}mask = masks_of(Image.open("photo.jpg").convert("RGB"))[0]  # (H, W), bool'
    return f"{lines}import numpy as np\n{_OF_HF.format(padding=PADDING_RGB)}{_tiles(head, size)}"


def as_comment(text: str) -> str:
    """Return a sentence as a comment of Python."""
    return f"# {text}\n"


def _tiles(head: MaskHead, size: int) -> str:
    assert head.scale is not None
    window, overlap = tiling(size, head.scale)
    lines = _TILES.format(window=window, overlap=overlap, ramp=max(overlap, 1), classes=head.classes)
    return lines + _MASK[head.classes > 1].rstrip("\n")
