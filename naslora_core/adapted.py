"""A trained adapter on disk: a few tensors and a JSON that says which base they belong to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from naslora_core.adapters import Adapter
from naslora_core.config import AdapterConfig, ModelConfig, SearchConfig
from naslora_core.errors import CheckpointError
from naslora_core.files import write_json
from naslora_core.sam.checkpoint import file_sha256, load_base, read_weights, save_weights
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.setup import add_adapters

FORMAT = 1
WEIGHTS_FILE, CONFIG_FILE = "adapter.safetensors", "adapter.json"


def save_adapted(
    folder: Path,
    segmenter: PromptFreeSegmenter,
    adapters: Mapping[str, Adapter],
    model: ModelConfig,
    adapter: AdapterConfig,
    search: SearchConfig,
    seed: int,
) -> None:
    """Write what training changed, adapters and mask decoder, into an existing folder.

    The base model's weights are not written; `load_adapted` asks for the same ones by their SHA-256.
    """
    sam = segmenter.sam
    trained = {name for name, parameter in sam.named_parameters() if parameter.requires_grad}
    weights = {name: value for name, value in sam.state_dict().items() if name in trained}
    save_weights(folder / WEIGHTS_FILE, weights, {"format": "naslora-adapter-1"})
    config = {
        "format": FORMAT,
        "method": adapter.method,
        "adapter": adapter.model_dump(mode="json"),
        "search": search.model_dump(mode="json"),
        "base": {"name": model.name, "sha256": file_sha256(model.checkpoint)},
        "layers": list(adapters),
        "seed": seed,
    }
    write_json(folder / CONFIG_FILE, config)


def load_adapted(folder: Path, model: ModelConfig) -> tuple[PromptFreeSegmenter, dict[str, Adapter]]:
    """Load the base model and put the trained adapter of `folder` onto it.

    Returns:
        The segmenter in evaluation mode, and its adapters by layer name.

    Raises:
        CheckpointError: if files are missing or damaged, or the adapter was trained on another base.
    """
    config = _read_config(folder / CONFIG_FILE)
    found = file_sha256(model.checkpoint) if model.checkpoint.is_file() else "no file"
    if config["base"] != {"name": model.name, "sha256": found}:
        raise CheckpointError(
            f"{folder} was trained on {config['base']['name']} with SHA-256 {config['base']['sha256'][:12]}, but "
            f"model.checkpoint {model.checkpoint} is {model.name} with {found[:12]}; restore that base or train again"
        )
    sam = load_base(model)
    adapter = AdapterConfig.model_validate(config["adapter"])
    search = SearchConfig.model_validate(config["search"])
    adapters = add_adapters(sam, adapter, search, seed=0)
    weights = read_weights(folder / WEIGHTS_FILE)
    expected = {name for name, parameter in sam.named_parameters() if parameter.requires_grad}
    if weights.keys() != expected:
        odd = sorted(weights.keys() ^ expected)
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE}: {len(odd)} keys differ, {odd[:3]}; train again"
        )
    try:
        sam.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE}: {error}; train again") from error
    return PromptFreeSegmenter(sam).eval(), adapters


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); run stage search-train") from error
    if config.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {config.get('format')}, this version reads {FORMAT}; train again")
    return config
