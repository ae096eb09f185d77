"""Grad-CAM: which positions of the encoder's embedding raise the foreground logits."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.preprocess.decode import decode_pair
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import normalise
from naslora_core.sam.precision import best_device
from naslora_core.sam.segmenter import PromptFreeSegmenter


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
    features = embeddings.detach().requires_grad_()
    with torch.enable_grad():
        logits = decode(features)
        found = (logits.detach() > 0).to(logits)
        nowhere = found.flatten(1).sum(dim=1) == 0
        found[nowhere] = 1
        (gradient,) = torch.autograd.grad((logits * found).sum(), features)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * features.detach()).sum(dim=1).relu()


def explain(
    segmenter: PromptFreeSegmenter, pairs: Sequence[Pair], card: DatasetCard, progress: Progress = silent
) -> dict[str, np.ndarray]:
    """Return the Grad-CAM heat map of a model on every image.

    Args:
        segmenter: the model, with or without adapters; computes in float32.
        pairs: image and mask files.
        card: says what the masks mean.
        progress: called after every image.

    Returns:
        By image name (h, w) float32, at least 0: the encoder's grid, without the part that only pads the square.

    Raises:
        DataError: if a file is missing or unreadable.
    """
    device, side = best_device(), segmenter.image_size
    segmenter = segmenter.eval().to(device)
    heats = {}
    for pair in pairs:
        square = decode_pair(pair, card, side)
        pixels = torch.from_numpy(square.image).permute(2, 0, 1)[None].to(device)
        with torch.no_grad():
            embeddings = segmenter.sam.image_encoder(normalise(segmenter.sam, pixels))
        heat = grad_cam(embeddings, segmenter.decode)[0]
        _, (height, width) = square.sizes
        rows, columns = (-(-length * heat.shape[-1] // side) for length in (height, width))
        heats[pair.name] = heat[:rows, :columns].cpu().numpy()
        progress(len(heats), len(pairs), "grad-cam")
    return heats


def explain_models(
    loaders: Mapping[str, Callable[[], PromptFreeSegmenter]],
    pairs: Sequence[Pair],
    card: DatasetCard,
    progress: Progress = silent,
) -> dict[str, dict[str, np.ndarray]]:
    """Return the heat maps of several models by model and image name, holding one model in memory at a time."""
    return {model: explain(load(), pairs, card, progress) for model, load in loaders.items()}
