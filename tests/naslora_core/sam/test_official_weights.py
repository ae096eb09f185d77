"""Official weights where they are at hand: the same embeddings and masks as the package they were made for.

Put the files or folders into one folder and name it by NASLORA_CHECKPOINTS; each case without one skips.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from naslora_core.config import ModelConfig
from naslora_core.sam.build import normalise
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.layouts.recognise import recognise
from naslora_core.sam.segmenter import PromptFreeSegmenter

pytestmark = [pytest.mark.checkpoint, pytest.mark.timeout(1200)]
FOLDER = Path(os.environ.get("NASLORA_CHECKPOINTS", "models"))

# Embeddings of normalised images and, where the package has them without prompts, low-resolution logits.
Outputs = tuple[Tensor, Tensor | None]


def segment_anything(package: str, kind: str) -> Callable[[Path, Tensor], Outputs]:
    def run(path: Path, images: Tensor) -> Outputs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sam = pytest.importorskip(package, reason=f"{package} comes with the extra dev").sam_model_registry[kind]
            sam = sam(checkpoint=str(path)).eval()
        embeddings = sam.image_encoder(images)
        if package == "segment_anything_hq":
            return embeddings[0], None
        sparse, dense = sam.prompt_encoder(points=None, boxes=None, masks=None)
        positions = sam.prompt_encoder.get_dense_pe()
        return embeddings, sam.mask_decoder(embeddings, positions, sparse, dense, multimask_output=False)[0]

    return run


def transformers(kind: str) -> Callable[[Path, Tensor], Outputs]:
    def run(path: Path, images: Tensor) -> Outputs:
        package: Any = pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")
        embeddings = getattr(package, kind).from_pretrained(path).eval().get_image_embeddings(images)
        return embeddings[-1] if isinstance(embeddings, list) else embeddings, None

    return run


CASES: dict[str, tuple[str, Callable[[Path, Tensor], Outputs]]] = {
    "sam_vit_b_*.pth": ("vit_b", segment_anything("segment_anything", "vit_b")),
    "sam_vit_l_*.pth": ("vit_l", segment_anything("segment_anything", "vit_l")),
    "sam_vit_h_*.pth": ("vit_h", segment_anything("segment_anything", "vit_h")),
    "medsam_vit_b.pth": ("vit_b", segment_anything("segment_anything", "vit_b")),
    "sam_hq_vit_b.pth": ("vit_b", segment_anything("segment_anything_hq", "vit_b")),
    "mobile_sam.pt": ("mobile_sam", segment_anything("mobile_sam", "vit_t")),
    "sam-vit-base": ("vit_b", transformers("SamModel")),
    "sam2.1-hiera-tiny": ("sam2_hiera_tiny", transformers("Sam2Model")),
    "sam2.1-hiera-small": ("sam2_hiera_small", transformers("Sam2Model")),
    "sam2.1-hiera-base-plus": ("sam2_hiera_base_plus", transformers("Sam2Model")),
    "sam2.1-hiera-large": ("sam2_hiera_large", transformers("Sam2Model")),
    "sam3": ("sam3", transformers("Sam3TrackerModel")),
}


@pytest.mark.parametrize("pattern", CASES)
@torch.no_grad()
def test_official_weights_give_what_their_package_gives(pattern):
    if not (found := sorted(FOLDER.glob(pattern))):
        pytest.skip(f"no {pattern} in {FOLDER}; name the folder of official weights by NASLORA_CHECKPOINTS")
    name, reference = CASES[pattern]
    assert recognise(found[0]).size == name
    sam = load_base(ModelConfig(name=name, checkpoint=found[0], image_size="native", precision="fp32"))
    images = normalise(sam, picture(sam.image_encoder.img_size))
    embeddings, logits = reference(found[0], images)
    torch.testing.assert_close(sam.encode(images)[0], embeddings, rtol=1e-4, atol=1e-4)
    if logits is not None:
        masks = PromptFreeSegmenter(sam).eval().decode(sam.encode(images))
        torch.testing.assert_close(masks, logits, rtol=1e-4, atol=1e-3)


def picture(side: int) -> Tensor:
    """Three discs on a shaded ground, (1, 3, S, S) uint8."""
    rows, columns = np.mgrid[:side, :side] / side
    pixels = np.stack([90 + 60 * rows, 110 + 40 * columns, 100 + 0 * rows])
    for row, column, radius in ((0.3, 0.3, 0.12), (0.6, 0.7, 0.2), (0.8, 0.2, 0.05)):
        pixels[:, (rows - row) ** 2 + (columns - column) ** 2 < radius**2] = [[210], [180], [40]]
    return torch.from_numpy(pixels.astype(np.uint8))[None]
