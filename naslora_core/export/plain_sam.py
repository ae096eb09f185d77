"""Read a merged model as an ordinary SAM, which other projects can load."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from naslora_core.data.dataset.image_files.reading import parse_reading
from naslora_core.errors import MergeError
from naslora_core.export.usage import as_comment, describe_tiling
from naslora_core.merge.merged import load_merged, read_merged_notes
from naslora_core.merge.training_images import stored_reading
from naslora_core.reading import read_object
from naslora_core.sam.build import build_sam
from naslora_core.sam.head import MaskHead
from naslora_core.sam.specs import TinyViTSpec, find_spec

CERTIFICATE_FILE = "certificate.json"
_DETAIL = "mask_decoder.detail."


@dataclass(frozen=True)
class PlainSam:
    """A SAM with upstream's keys and shapes.

    Attributes:
        name: as in `sam_model_registry`, or sam_tiny.
        weights: its state dict.
        base_sha256: of the checkpoint it was adapted from.
        image_size: side of its square input in pixels.
        head: of the merged model; its detail path is not among the weights.
        remarks: sentences for its user: how the training images became RGB, if they were no plain ones of 8 bits; what
            is left out of the model; how images are cut for it.
    """

    name: str
    weights: dict[str, Tensor]
    base_sha256: str
    image_size: int
    head: MaskHead = MaskHead()
    remarks: tuple[str, ...] = ()

    def comments(self) -> str:
        """Return the remarks as comment lines of Python."""
        return "".join(as_comment(remark) for remark in self.remarks)


def read_plain_sam(folder: Path, any_image_size: bool = False) -> PlainSam:
    """Read what stage merge wrote to `folder`; a detail path, which SAM has not, is left out.

    Args:
        folder: of the merged model.
        any_image_size: take a model of another image size, too, for formats that say its size.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
        MergeError: if the model is not an ordinary SAM: folded, of several classes, or of another image size.
    """
    weights = {key: value for key, value in load_merged(folder).state_dict().items() if not key.startswith(_DETAIL)}
    notes = read_merged_notes(folder)
    name = notes.model
    with torch.device("meta"):
        plain = build_sam(name, notes.image_size)
    if notes.classes > 1:
        raise MergeError(
            f"{folder} tells {notes.classes} classes apart, and SAM has one mask a prompt; "
            "use naslora predict, or export the adapter"
        )
    native = find_spec(name, "native").image_size
    if notes.image_size != native and not any_image_size:
        raise MergeError(
            f"{folder} sees {notes.image_size} px, and {name} is loaded elsewhere with "
            f"{native} px; train with model.image_size native, or use naslora export {_of_any_size(name)}"
        )
    if folded := sorted({key.rpartition(".")[0] for key in weights.keys() - plain.state_dict().keys()}):
        raise MergeError(
            f"{folder} was merged as {notes.mode}, which keeps a convolution beside {len(folded)} "
            f"layers ({folded[0]}) that SAM does not have; merge with merge.mode calibrated, or train with "
            "search.pointwise_pressure above 0 and merge with exact"
        )
    reading = parse_reading(stored_reading(folder), folder)
    remarks = [f"Images were converted to 8 bits by: {reading}"] if reading else []
    if notes.detail != "off":
        remarks.append(f"Left out: the detail path ({notes.detail}), which SAM does not have; {_cost(folder)}")
    if notes.scale is not None:
        remarks.append(f"The model was {describe_tiling(notes.image_size, notes.scale)}")
    return PlainSam(name, weights, notes.origin["base"]["sha256"], notes.image_size, notes.head, tuple(remarks))


def _of_any_size(name: str) -> str:
    """Return the formats that say their image size; transformers has no MobileSAM."""
    return "onnx or torch" if isinstance(find_spec(name), TinyViTSpec) else "hf"


def _cost(folder: Path) -> str:
    """Return what leaving out the detail path costs, as the certificate beside the model says."""
    try:
        certificate = read_object(folder / CERTIFICATE_FILE)
        before, after = (float(certificate[f"validation_dice_{which}"]) for which in ("after", "without_detail"))
    except (OSError, ValueError, KeyError, TypeError):
        return f"what that costs is not in {CERTIFICATE_FILE}; run stage merge to have it measured"
    return f"validation Dice is {before:.4f} with it and {after:.4f} without it"
