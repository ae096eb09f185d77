"""Grad-CAM: which positions of the encoder's embedding raise the foreground logits."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.geometry.tiling import Stitcher, Tiling
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import normalise
from naslora_core.sam.precision import best_device
from naslora_core.sam.segmenter import PromptFreeSegmenter, images_in_turn
from naslora_core.sam.square import fit_into_square, window_side
from naslora_core.sam.tiled import OVERLAP


def grad_cam(embeddings: Tensor, decode: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the Grad-CAM heat maps: channels weighted by their gradient and summed, negative values set to zero.

    A channel's weight is the mean over all positions of the gradient of the summed foreground logits. For a
    segmentation the sum runs over the pixels that are predicted foreground; where there are none, over all.

    Args:
        embeddings: (B, C, h, w), the layer that is explained.
        decode: maps them to logits (B, K, H, W), positive where a pixel is of a class.

    Returns:
        (B, h, w), at least 0, in units of the logits.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, Eq. (1) and (2); sums over pixels as in arXiv:2002.11434.
    """
    return _weighted(embeddings, channel_weights(embeddings, decode))


def channel_weights(embeddings: Tensor, decode: Callable[[Tensor], Tensor], is_empty: Tensor | None = None) -> Tensor:
    """Return the weights (B, C, 1, 1) of `grad_cam`.

    Args:
        embeddings: as there.
        decode: as there.
        is_empty: (B,) bool, of which rows all pixels count; None for those without foreground.
    """
    features = embeddings.detach().requires_grad_()
    with torch.enable_grad():
        logits = decode(features)
        found = (logits.detach() > 0).to(logits)
        nowhere = found.flatten(1).sum(dim=1) == 0 if is_empty is None else is_empty
        found[nowhere] = 1
        (gradient,) = torch.autograd.grad((logits * found).sum(), features)
    return gradient.mean(dim=(2, 3), keepdim=True)


def _weighted(embeddings: Tensor, weights: Tensor) -> Tensor:
    return (weights * embeddings.detach()).sum(dim=1).relu()


def explain(
    segmenter: PromptFreeSegmenter, pairs: Sequence[Pair], card: DatasetCard, progress: Progress = silent
) -> dict[str, np.ndarray]:
    """Return the Grad-CAM heat map of a model on every image, which it sees as it was trained: whole, or in parts.

    Args:
        segmenter: the model, with or without adapters; computes in float32.
        pairs: image and mask files.
        card: says what the masks mean.
        progress: called after every image.

    Returns:
        By image name (h, w) float32, at least 0: the encoder's grid, without the part that only pads the square; of
        a model of crops a grid as fine over all parts.

    Raises:
        DataError: if a file is missing or unreadable.
    """
    segmenter = segmenter.eval().to(best_device())
    heats: dict[str, np.ndarray] = {}
    turn = images_in_turn(segmenter.image_size) if segmenter.scale is None else 1
    for start in range(0, len(pairs), turn):
        names = [pair.name for pair in pairs[start : start + turn]]
        images = [read_pair(pair, card)[0] for pair in pairs[start : start + turn]]
        found = _of_whole(segmenter, images) if segmenter.scale is None else [_of_parts(segmenter, images[0])]
        heats |= zip(names, found, strict=True)
        progress(len(heats), len(pairs), "grad-cam")
    return heats


def _of_whole(segmenter: PromptFreeSegmenter, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    embeddings, decode, shapes = _encode(segmenter, images)
    heats = grad_cam(embeddings, decode)
    return [_inside(heat, shape, segmenter.image_size).cpu().numpy() for heat, shape in zip(heats, shapes, strict=True)]


def _of_parts(segmenter: PromptFreeSegmenter, image: np.ndarray) -> np.ndarray:
    """Return the heat of an image whose parts are seen one by one, as if one function saw them all.

    A channel has one weight for the whole image, the mean over the positions of all parts. Weights of each part's own
    would make a part without any object as hot as one that is full of them.
    """
    assert segmenter.scale is not None
    side = window_side(segmenter.image_size, segmenter.scale)
    tiling = Tiling((image.shape[0], image.shape[1]), side, OVERLAP)
    weights = _weights_of_all(segmenter, image, tiling)
    stitcher, rows, cell = Stitcher(tiling, most=None), [], 1.0
    for embeddings, _, (shape,) in _parts(segmenter, image, tiling):
        # The encoder's cells, as of an image that is seen whole; more would be interpolated.
        cell = side / embeddings.shape[-1]
        heat = _inside(_weighted(embeddings, weights)[0], shape, segmenter.image_size)
        size = (tiling.tiles[0].height, tiling.tiles[0].width)
        heat = F.interpolate(heat[None, None], size=size, mode="nearest-exact")[0, 0]
        if (complete := stitcher.add(heat.cpu().numpy())) is not None:
            rows.append(complete[1])
    height, width = (max(1, round(length / cell)) for length in image.shape[:2])
    return np.asarray(Image.fromarray(np.concatenate(rows)).resize((width, height), Image.Resampling.BOX))


def _weights_of_all(segmenter: PromptFreeSegmenter, image: np.ndarray, tiling: Tiling) -> Tensor:
    for all_pixels in (False, True):
        is_empty = torch.tensor([all_pixels], device=segmenter.sam.device)
        parts = _parts(segmenter, image, tiling)
        weights = torch.stack([channel_weights(embeddings, decode, is_empty) for embeddings, decode, _ in parts])
        # Without a pixel of foreground in any part, every gradient is zero.
        if weights.any():
            break
    return weights.mean(dim=0)


_Encoded = tuple[Tensor, Callable[[Tensor], Tensor], list[tuple[int, int]]]


def _parts(segmenter: PromptFreeSegmenter, image: np.ndarray, tiling: Tiling) -> Iterator[_Encoded]:
    # Encoded anew in every pass: the embeddings of a large image would take more memory than the image.
    return (_encode(segmenter, [tile.cut(image)]) for tile in tiling.tiles)


def _encode(segmenter: PromptFreeSegmenter, images: Sequence[np.ndarray]) -> _Encoded:
    """Return embeddings (B, C, h, w), what decodes them, and the (H, W) of every image within its square."""
    scale = segmenter.scale and segmenter.image_size / window_side(segmenter.image_size, segmenter.scale)
    squares, shapes = zip(*(fit_into_square(image, segmenter.image_size, scale) for image in images), strict=True)
    pixels = torch.tensor(np.stack(squares), device=segmenter.sam.device).permute(0, 3, 1, 2)
    with torch.no_grad():
        normalised = normalise(segmenter.sam, pixels)
        embeddings, *finer = segmenter.sam.encode(normalised)
    return embeddings, lambda coarse: segmenter.decode((coarse, *finer), normalised), list(shapes)


def _inside(heat: Tensor, shape: tuple[int, int], side: int) -> Tensor:
    rows, columns = (-(-length * heat.shape[-1] // side) for length in shape)
    return heat[:rows, :columns]


def explain_models(
    loaders: Mapping[str, Callable[[], PromptFreeSegmenter]],
    pairs: Sequence[Pair],
    card: DatasetCard,
    progress: Progress = silent,
) -> dict[str, dict[str, np.ndarray]]:
    """Return the heat maps of several models by model and image name, holding one model in memory at a time."""
    return {model: explain(load(), pairs, card, progress) for model, load in loaders.items()}
