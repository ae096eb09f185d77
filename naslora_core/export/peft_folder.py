"""Export a merged model as an adapter that Hugging Face PEFT loads onto the original SAM.

Written by hand after the format of PEFT 0.21, so that exporting needs neither PEFT nor transformers.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from naslora_core.errors import MergeError
from naslora_core.export.plain_sam import PlainSam, read_plain_sam
from naslora_core.export.usage import sam_lines
from naslora_core.files import atomic_directory, write_json
from naslora_core.merge.merged import LORA_FILE
from naslora_core.sam.checkpoint import read_weights, save_weights
from naslora_core.sam.specs import MODEL_SPECS

WEIGHTS_FILE, CONFIG_FILE, CARD_FILE = "adapter_model.safetensors", "adapter_config.json", "README.md"
FILES = (WEIGHTS_FILE, CONFIG_FILE, CARD_FILE)

_PREFIX = "base_model.model."
# Training changes the decoder; a calibrated merge the neck.
_SAVED_MODULES = ("mask_decoder", "image_encoder.neck")
_LINES = """from peft import PeftModel
sam = PeftModel.from_pretrained(sam, "{folder}").base_model.model"""
_PREDICTOR = """from segment_anything import SamPredictor
predictor = SamPredictor(sam)
"""
_CARD = """---
library_name: peft
tags: [lora, segment-anything]
---

# LoRA for Segment Anything, made with naslora

Rank {rank} on {layers} layers of the image encoder, and the neck and mask decoder that go with them. It belongs to
{name}, whose checkpoint has the SHA-256 {sha256}.

```python
{load}
```

Here `sam` is that model, from `{build}`. Without prompts and with
`multimask_output=False` it gives the masks it was trained for.
"""


def export_peft_folder(merged: Path, output: Path) -> str:
    """Write a merged model as a PEFT adapter: its LoRA, and mask decoder and neck as modules to save, atomically.

    Args:
        merged: what stage merge wrote.
        output: the folder; replaced if it exists.

    Returns:
        The lines of Python that load it onto the base model `sam`; see also `export_sam_checkpoint`.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
        MergeError: if the model is not an ordinary SAM, or has no LoRA.
    """
    plain = read_plain_sam(merged)
    lora = read_weights(merged / LORA_FILE)
    if not lora:
        raise MergeError(
            f"{merged / LORA_FILE} is empty: this merge left no low-rank update to export, only a mask decoder; "
            "adapt with adapter.method lora, conv_lora, nas_lora or nas_pc_lora and merge with merge.mode exact or "
            "calibrated, or export a SAM checkpoint"
        )
    load = plain.comments() + _LINES.format(folder=output)
    if plain.head.scale is not None:
        load += f"\n{_PREDICTOR}{sam_lines(plain.head, plain.image_size)}"
    with atomic_directory(output) as folder:
        save_weights(folder / WEIGHTS_FILE, _tensors(plain, lora), {"format": "pt"})
        write_json(folder / CONFIG_FILE, _config(lora))
        (folder / CARD_FILE).write_text(_card(plain, lora, load), encoding="utf-8")
    return load


def _tensors(plain: PlainSam, lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    own = tuple(f"{module}." for module in _SAVED_MODULES)
    saved = {f"{_PREFIX}{key}": value for key, value in plain.weights.items() if key.startswith(own)}
    return saved | {f"{_PREFIX}{key}.weight": value for key, value in lora.items()}


def _layers(lora: Mapping[str, Tensor]) -> list[str]:
    return [key.removesuffix(".lora_A") for key in lora if key.endswith(".lora_A")]


def _ranks(lora: Mapping[str, Tensor]) -> dict[str, int]:
    return {layer: len(lora[f"{layer}.lora_A"]) for layer in _layers(lora)}


def _config(lora: Mapping[str, Tensor]) -> dict[str, object]:
    ranks = _ranks(lora)
    largest = max(ranks.values())
    lower = {layer: rank for layer, rank in ranks.items() if rank < largest}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": largest,
        "rank_pattern": lower,
        # The scaling lora_alpha / r is in lora_B already.
        "lora_alpha": largest,
        "alpha_pattern": lower,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "target_modules": _layers(lora),
        "modules_to_save": list(_SAVED_MODULES),
    }


def _card(plain: PlainSam, lora: Mapping[str, Tensor], load: str) -> str:
    ranks = _ranks(lora)
    registry = f'segment_anything.sam_model_registry["{plain.name}"](checkpoint=...)'
    own = "naslora_core.sam.checkpoint.load_base(params.model)"
    return _CARD.format(
        rank=" to ".join(str(rank) for rank in sorted({min(ranks.values()), max(ranks.values())})),
        layers=len(_layers(lora)),
        name=plain.name,
        sha256=plain.base_sha256,
        load=load,
        build=registry if MODEL_SPECS[plain.name].file_prefix else own,
    )
