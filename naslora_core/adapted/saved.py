"""Save and load a trained adapter: the tensors that training changed, and a JSON that names the base model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from naslora_core.adapted.architecture import architecture_of
from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.state import trainable_state
from naslora_core.adapters import Adapter
from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.adapters.budget.method import is_budgeted
from naslora_core.config import AdapterConfig, ClassCount, ModelConfig, SearchConfig
from naslora_core.errors import CheckpointError
from naslora_core.files import write_json
from naslora_core.reading import read_model
from naslora_core.sam.build import Sam
from naslora_core.sam.checkpoint import checkpoint_sha256, load_base, require_checkpoint
from naslora_core.sam.detail import Detail, detail_of
from naslora_core.sam.head import MaskHead, head_of, set_head
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.specs import find_spec
from naslora_core.sam.weights import describe_mismatch, read_weights, save_weights

FORMAT = 2
ADAPTER_FILE, DECODER_FILE, CONFIG_FILE = "adapter.safetensors", "mask_decoder.safetensors", "adapter.json"
_DETAIL = "mask_decoder.detail."
FILES = (ADAPTER_FILE, DECODER_FILE, CONFIG_FILE)


class BaseNotes(BaseModel):
    """The base model an adapter belongs to, as adapter.json holds it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    sha256: str
    image_size: PositiveInt


class AdapterNotes(BaseModel):
    """The fields of adapter.json; it may hold notes on the data beside them.

    Attributes:
        image: how stored values of the training images became grey levels, see `ImageReading`; None for plain images
            of 8 bits.
        detail: see `MaskHead`, as `classes` and `scale`.
        architecture: what every layer that has a branch chose under a budget; None where layers mix.
    """

    method: str
    adapter: AdapterConfig
    search: SearchConfig
    base: BaseNotes
    classes: ClassCount
    layers: list[str]
    seed: int
    image: dict[str, Any] | None = None
    detail: Detail = "off"
    scale: Annotated[float, Field(gt=0)] | None = None
    architecture: dict[str, LayerChoice] | None = None

    @property
    def head(self) -> MaskHead:
        """The head of its mask decoder."""
        return MaskHead(self.classes, self.detail, self.scale)


# The name, SHA-256 and image size of a base model, as adapter.json holds them.
Base = Mapping[str, Any]


def describe_base(model: ModelConfig) -> Base:
    """Return what identifies a base model: name, SHA-256 and image size.

    Raises:
        CheckpointError: if the checkpoint is not there.
        ConfigError: if the image size does not divide into patches.
    """
    require_checkpoint(model)
    return {
        "name": model.name,
        "sha256": checkpoint_sha256(model.checkpoint),
        "image_size": find_spec(model.name, model.image_size).image_size,
    }


def save_adapted(
    folder: Path,
    segmenter: PromptFreeSegmenter,
    adapters: Mapping[str, Adapter],
    model: ModelConfig,
    adapter: AdapterConfig,
    search: SearchConfig,
    seed: int,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write what training changed into an existing folder: in the encoder, and the mask decoder in its own file.

    The base model's weights are not written; `load_adapted` requires the same ones by their SHA-256. `provenance`,
    what `clearance` says of the data, goes into adapter.json and from there into every model made of it.
    """
    sam = segmenter.sam
    # Layers may share their alphas, which safetensors does not store.
    encoder_weights = {key: value.clone() for key, value in _trained_part(sam, "image_encoder").items()}
    save_weights(folder / ADAPTER_FILE, encoder_weights, {"format": f"naslora-adapter-{FORMAT}"})
    save_weights(folder / DECODER_FILE, _trained_part(sam, "mask_decoder"), {"format": f"naslora-decoder-{FORMAT}"})
    config = {
        "format": FORMAT,
        "method": adapter.method,
        "adapter": adapter.model_dump(mode="json"),
        "search": search.model_dump(mode="json"),
        "base": describe_base(model),
        **head_of(sam).notes(),
        "layers": list(adapters),
        **_architecture_notes(adapters, adapter, search),
        "seed": seed,
        **(provenance or {}),
    }
    write_json(folder / CONFIG_FILE, config)


def load_adapted(folder: Path, model: ModelConfig) -> tuple[PromptFreeSegmenter, dict[str, Adapter]]:
    """Load the base model and attach the trained adapter of `folder`.

    Returns:
        The segmenter in evaluation mode, and its adapters by layer name.

    Raises:
        CheckpointError: if files are missing or damaged, or the adapter was trained on another base.
    """
    config = read_adapter_config(folder)
    require_base(folder, config, describe_base(model))
    sam = load_base(model)
    adapters = attach_adapter(sam, folder, config)
    return PromptFreeSegmenter(sam).eval(), adapters


def read_adapter_config(folder: Path) -> AdapterNotes:
    """Return the adapter.json of a folder.

    Raises:
        CheckpointError: if the file cannot be read or is of another version.
    """
    remedy = "train again with naslora run, or run stage search-train"
    return read_model(folder / CONFIG_FILE, AdapterNotes, FORMAT, remedy, CheckpointError)


def require_base(folder: Path, config: AdapterNotes, base: Base) -> None:
    """Check that the adapter of a folder was trained on `base`.

    Raises:
        CheckpointError: if it was trained on another one.
    """
    if (trained_on := config.base.model_dump()) != base:
        raise CheckpointError(
            f"{folder} was trained on {_in_words(trained_on)}, but model.name, image_size and checkpoint are those "
            f"of {_in_words(base)}; restore that base or train again, by stage search-train"
        )


def trains_base(folder: Path, config: AdapterNotes) -> bool:
    """Return whether the folder holds new values for parts of the base's own encoder, outside of adapters."""
    own = tuple(f"{layer}." for layer in config.layers)
    return not all(key.startswith(own) for key in read_weights(folder / ADAPTER_FILE))


def attach_adapter(sam: Sam, folder: Path, config: AdapterNotes) -> dict[str, Adapter]:
    """Attach the trained adapter of `folder` to its base model, in place.

    Args:
        sam: the base model, without adapters.
        folder: what `save_adapted` wrote.
        config: its adapter.json, from `read_adapter_config`.

    Returns:
        The adapters by layer name.

    Raises:
        CheckpointError: if the tensors are missing, damaged, or not those that adapter.json describes.
    """
    set_head(sam, config.head)
    adapters = add_adapters(sam, config.adapter, config.search, seed=0, architecture=config.architecture)
    _load_trained(sam, folder)
    return adapters


def continue_from(sam: Sam, folder: Path, model: ModelConfig) -> None:
    """Load the weights and alphas of an earlier training into adapters and mask decoder, in place.

    A detail path that the earlier one has not, or another one, stays fresh; one that it alone has is left out.

    Args:
        sam: the base model, with fresh adapters of the same kind.
        folder: what `save_adapted` wrote.
        model: the base model it has to have been trained on.

    Raises:
        CheckpointError: if it was trained on another base, or its tensors do not fit.
    """
    config = read_adapter_config(folder)
    require_base(folder, config, describe_base(model))
    _load_trained(sam, folder, without="" if config.detail == detail_of(sam) else _DETAIL)


def _architecture_notes(
    adapters: Mapping[str, Adapter], adapter: AdapterConfig, search: SearchConfig
) -> dict[str, Any]:
    if adapter.method != "nas_lora" or not is_budgeted(search):
        return {}
    # An architecture may leave every layer as it is.
    found = architecture_of(adapters) or {}
    return {"architecture": {name: choice.model_dump() for name, choice in found.items()}}


def _load_trained(sam: Sam, folder: Path, without: str = "") -> None:
    _load_part(sam, folder / ADAPTER_FILE, _trained_part(sam, "image_encoder"), without)
    _load_part(sam, folder / DECODER_FILE, _trained_part(sam, "mask_decoder"), without)


def _trained_part(sam: Sam, part: str) -> dict[str, Tensor]:
    return {f"{part}.{key}": value for key, value in trainable_state(sam.get_submodule(part)).items()}


def _load_part(sam: Sam, path: Path, expected: Mapping[str, Tensor], without: str) -> None:
    weights = read_weights(path)
    if without:
        weights, expected = (
            {key: value for key, value in tensors.items() if not key.startswith(without)}
            for tensors in (weights, expected)
        )
    if wrong := describe_mismatch(expected, weights):
        raise CheckpointError(f"{path} does not fit {CONFIG_FILE} beside it: {wrong}; train again")
    sam.load_state_dict(weights, strict=False)


def _in_words(base: Base) -> str:
    return f"{base['name']} at {base['image_size']} px with SHA-256 {base['sha256'][:12]}"
