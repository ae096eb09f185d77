"""Shared by the graph exports (ONNX, torch): one module from pixels to masks, and the check of the written file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from naslora_core.data.dataset.image_files.reading import parse_reading
from naslora_core.errors import ExportError
from naslora_core.export.usage import describe_tiling, tiling
from naslora_core.merge.folded_linear import FoldedLinear
from naslora_core.merge.merged import load_merged, read_merged_notes
from naslora_core.merge.training_images import stored_reading
from naslora_core.sam.head import MaskHead, head_of
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.square import PADDING_RGB

INPUT, OUTPUTS = "images", ("low_res_masks", "probabilities")
LARGEST_DIFFERENCE = 1e-3
# Those of the check; the graph was traced with another one.
TRACED_BATCH, CHECKED_BATCHES = 2, (1, 3)
_PADDING = f"right and bottom, with {PADDING_RGB}"


class SegmentationGraph(nn.Module):
    """A merged model from uint8 pixels to masks, SAM's normalisation inside.

    Pixels are integers so that nobody can scale them to 0..1 by habit: another type is refused, and does not give
    other masks.
    """

    def __init__(self, segmenter: PromptFreeSegmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mask logits, and probabilities at the size of the input.

        Args:
            images: (B, 3, S, S) uint8 RGB, padded at the right and bottom.

        Returns:
            low_res_masks: (B, K, S / 4, S / 4) float32 logits; the background's is 0. With a detail path they are as
                large as that says, S / 2 or S a side.
            probabilities: (B, K, S, S) float32 in 0..1; of several classes the background has what is left to 1.
        """
        low_res_masks = self.segmenter(images)
        logits = self.segmenter.upscale(low_res_masks)
        if self.segmenter.classes == 1:
            return low_res_masks, logits.sigmoid()
        background = torch.zeros_like(logits[:, :1])
        return low_res_masks, torch.cat([background, logits], dim=1).softmax(dim=1)[:, 1:]


@dataclass(frozen=True)
class Source:
    """A merged model to export, and the metadata that the file will hold."""

    graph: SegmentationGraph
    about: dict[str, str]

    @property
    def head(self) -> MaskHead:
        """The head of the model's mask decoder."""
        return head_of(self.graph.segmenter.sam)

    def images(self, batch: int) -> Tensor:
        """Return (batch, 3, S, S) uint8: noise of several grains, from coarse to fine, the same in every call."""
        generator = torch.Generator().manual_seed(batch)
        size = self.graph.segmenter.image_size
        grains = [max(2, size >> (2 + index % 5)) for index in range(batch)]
        noise = [torch.rand(1, 3, grain, grain, generator=generator) for grain in grains]
        return torch.cat([(nn.functional.interpolate(one, (size, size)) * 255).to(torch.uint8) for one in noise])


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        difference: largest of the logits from those of the merged model, in the check.
        lines: of Python that use the file.
    """

    difference: float
    lines: str


def read_source(folder: Path) -> Source:
    """Load what stage merge wrote to `folder`, on the CPU and in float32.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
    """
    segmenter = PromptFreeSegmenter(load_merged(folder)).eval()
    # The first layer lies in memory as suits the encoder; archives keep tensors in the usual order.
    segmenter.to(memory_format=torch.contiguous_format)
    for module in segmenter.modules():
        if isinstance(module, FoldedLinear):
            module.lay_apart()
    notes = read_merged_notes(folder)
    size = notes.image_size
    about = {
        "producer": "naslora",
        "model": notes.model,
        "merge_mode": notes.mode,
        "domain": str(notes.origin.get("domain", "")),
        "classes": str(notes.classes),
        "image_size": str(size),
        "input": f"{INPUT}: uint8 RGB (B, 3, {size}, {size}); {_shown(notes.head, size)}, padded at the {_PADDING}",
        "normalisation": "inside the graph",
        "base_sha256": notes.origin["base"]["sha256"],
    }
    if notes.detail != "off":
        about["detail"] = notes.detail
    if notes.scale is not None:
        window, overlap = tiling(size, notes.scale)
        about |= {"scale": repr(notes.scale), "window_px": str(window), "overlap_px": str(overlap)}
        about["tiling"] = describe_tiling(size, notes.scale)
    if (reading := parse_reading(stored_reading(folder), folder)) is not None:
        about["image_reading"] = f"of stored values, before they are resized: {reading}"
    return Source(SegmentationGraph(segmenter), about)


def _shown(head: MaskHead, size: int) -> str:
    if head.scale is None:
        return f"longer side resized to {size}"
    return f"a part of an image of at most {tiling(size, head.scale)[0]} px, resized by {head.scale:g}"


@torch.no_grad()
def largest_difference(source: Source, run: Callable[[Tensor], Mapping[str, Tensor]], path: Path) -> float:
    """Return the largest difference between the logits of an exported file and those of the merged model.

    Args:
        source: what was exported.
        run: the file: maps images to its outputs by name.
        path: named in the error.

    Raises:
        ExportError: if logits or probabilities differ by more than `LARGEST_DIFFERENCE`.
    """
    largest = {name: torch.zeros(()) for name in OUTPUTS}
    for batch in CHECKED_BATCHES:
        images = source.images(batch)
        found = run(images)
        for name, expected in zip(OUTPUTS, source.graph(images), strict=True):
            if found[name].shape != expected.shape:
                shapes = f"{tuple(found[name].shape)}, expected {tuple(expected.shape)}"
                raise ExportError(f"{path} is not written: {name} of a batch of {batch} has the shape {shapes}")
            # Keeps what is no number, which Python's max() may lose.
            largest[name] = torch.maximum(largest[name], (found[name] - expected).abs().max())
    for name, value in largest.items():
        if not value <= LARGEST_DIFFERENCE:
            raise ExportError(
                f"{path} is not written: its {name} differ from the merged model's by {value:.2g}, allowed is "
                f"{LARGEST_DIFFERENCE:g}; try another version of torch, or naslora export sam"
            )
    return float(largest["low_res_masks"])
