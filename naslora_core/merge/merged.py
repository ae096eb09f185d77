"""Save and load a merged model: SAM's weights, for `fold` a few more tensors a layer, and model.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from torch import Tensor

from naslora_core.adapters.budget.method import windows_of
from naslora_core.config import LARGEST_IMAGE_PX, LARGEST_RANK, ClassCount
from naslora_core.errors import CheckpointError
from naslora_core.files import write_json
from naslora_core.geometry.windows import Windows
from naslora_core.merge.folded_linear import FoldedLinear, folded_layers
from naslora_core.merge.layers import Merged
from naslora_core.reading import read_model
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.detail import Detail
from naslora_core.sam.head import MaskHead, head_of, set_head
from naslora_core.sam.weights import load_strictly, read_weights, save_weights

FORMAT = 2
WIDEST_KERNEL = 31
# As SAM's mask_threshold of 0, which is a logit.
DEFAULT_THRESHOLD = 0.5
WEIGHTS_FILE, CONFIG_FILE, LORA_FILE = "model.safetensors", "model.json", "lora.safetensors"


def save_merged(
    folder: Path,
    merged: Merged,
    name: str,
    mode: str,
    origin: Mapping[str, Any],
    threshold: float = DEFAULT_THRESHOLD,
) -> None:
    """Write a merged model, and its update as a LoRA, into an existing folder.

    lora.safetensors holds <layer>.lora_A (rank, in_features) and <layer>.lora_B (out_features, rank) with the
    scaling in it: their product is what the layer's weight has more than the base. It is empty where the
    merged model is no LoRA.

    Args:
        name: the model's name, a key of `MODEL_SPECS`.
        mode: how it was merged.
        origin: what it was made from; goes into model.json as it is.
        threshold: chosen on the validation images; the usual one is not written.
    """
    sam = merged.sam
    about = {"model": name, "mode": mode}
    config = about | head_of(sam).notes() | {"image_size": int(sam.image_encoder.img_size)}
    config |= {"threshold": threshold} if threshold != DEFAULT_THRESHOLD else {}
    save_weights(folder / WEIGHTS_FILE, sam.state_dict(), {"format": f"naslora-merged-{FORMAT}", **about})
    save_weights(folder / LORA_FILE, _lora(merged), {"format": f"naslora-lora-{FORMAT}", **about})
    write_json(folder / CONFIG_FILE, {"format": FORMAT, **config, "origin": dict(origin)})


class MergedNotes(BaseModel):
    """The content of model.json.

    `origin` describes the adapter, base and data the model was made from; `threshold` is the probability that suits it
    best above which a pixel is foreground, for those who ask for it by `evaluate.threshold: auto`.
    """

    model: str
    mode: str
    classes: ClassCount
    image_size: Annotated[int, Field(ge=1, le=LARGEST_IMAGE_PX)]
    origin: dict[str, Any]
    detail: Detail = "off"
    scale: Annotated[float, Field(gt=0)] | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] = DEFAULT_THRESHOLD

    @property
    def head(self) -> MaskHead:
        """The head of its mask decoder."""
        return MaskHead(self.classes, self.detail, self.scale)


def read_merged_notes(folder: Path) -> MergedNotes:
    """Return the model.json of a folder.

    Raises:
        CheckpointError: if the file cannot be read or is of another version.
    """
    return read_model(folder / CONFIG_FILE, MergedNotes, FORMAT, "merge again: run stage merge", CheckpointError)


def decide_threshold(setting: float | Literal["auto"], folder: Path) -> float:
    """Return the threshold that a setting means for the merged model in a folder; "auto" is the model's own.

    Raises:
        CheckpointError: if the model's own is asked for and its model.json cannot be read.
    """
    return read_merged_notes(folder).threshold if setting == "auto" else setting


def load_merged(folder: Path) -> Sam:
    """Load a merged model; it needs neither the base model nor the adapter.

    Raises:
        CheckpointError: if it cannot be read or is of another version.
    """
    notes = read_merged_notes(folder)
    weights = read_weights(folder / WEIGHTS_FILE)
    sam = build_sam(notes.model, notes.image_size)
    set_head(sam, notes.head)
    try:
        _prepare_folded_layers(sam, weights)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / WEIGHTS_FILE} has a folded layer amiss: {error}; merge again") from error
    load_strictly(sam, weights, folder / WEIGHTS_FILE)
    return sam.requires_grad_(False).eval()


def _lora(merged: Merged) -> dict[str, Tensor]:
    return {
        f"{layer}.{name}": value.float()
        for layer, update in merged.factors.items()
        for name, value in (("lora_A", update.down), ("lora_B", update.up))
    }


def _prepare_folded_layers(sam: Sam, weights: Mapping[str, Tensor]) -> None:
    for name, layout in folded_layers(weights).items():
        plain: Any = sam.get_submodule(name)
        rank = len(weights[f"{name}.fold_A"])
        # A tensor without elements can have sides of any length, and costs nothing until a layer is made of it.
        widest = max([*layout.kernels.values(), layout.waves])
        if not 1 <= rank <= LARGEST_RANK or widest > WIDEST_KERNEL:
            raise ValueError(f"{name} has rank {rank} and kernels or gains of side {widest}")
        windows = _windows_of(sam, name) if layout.whole_image else None
        folded = FoldedLinear(plain.in_features, plain.out_features, rank, layout, plain.bias is not None, windows)
        sam.set_submodule(name, folded)


def _windows_of(sam: Sam, name: str) -> Windows:
    """Return the windows that a layer sees.

    Raises:
        ValueError: if the layer sees no windows.
    """
    windows = windows_of(sam.image_encoder, name.removeprefix("image_encoder."))
    if windows is None:
        raise ValueError(f"{name} puts windows together and sees none")
    return windows
