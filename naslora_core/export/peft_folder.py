"""Export a merged model as an adapter that Hugging Face PEFT loads onto the original SAM, of one package or another.

Written by hand after the format of PEFT 0.21, so that exporting needs neither PEFT nor transformers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor

from naslora_core.errors import MergeError
from naslora_core.export.hf_folder import PROCESSOR_FILE, describe_processor
from naslora_core.export.plain_sam import PlainSam, read_plain_sam
from naslora_core.export.usage import hf_lines, in_python, sam_lines
from naslora_core.files import atomic_directory, write_json
from naslora_core.merge.merged import LORA_FILE
from naslora_core.sam.layouts.hugging_face import to_hugging_face
from naslora_core.sam.specs import MODEL_SPECS, TrackerSpec, ViTSpec
from naslora_core.sam.weights import read_weights, save_weights

WEIGHTS_FILE, CONFIG_FILE, CARD_FILE = "adapter_model.safetensors", "adapter_config.json", "README.md"
# The last for transformers alone.
FILES = (WEIGHTS_FILE, CONFIG_FILE, CARD_FILE, PROCESSOR_FILE)

_PREFIX = "base_model.model."
_PARTS = ("lora_A", "lora_B")
# Training changes the decoder; a calibrated merge the neck.
_SAVED_MODULES = ("mask_decoder", "image_encoder.neck")
# Where the original lies in the package's own layout, for transformers.
_HUB = {"vit_b": "facebook/sam-vit-base", "vit_l": "facebook/sam-vit-large", "vit_h": "facebook/sam-vit-huge"}
_NO_HUB = "BASE"
Package = Literal["segment-anything", "transformers"]
_LINES = """from peft import PeftModel
sam = PeftModel.from_pretrained(sam, {folder}).base_model.model"""
_LINES_OF_TRANSFORMERS = """from peft import PeftModel

base = "{base}"  # or a folder that holds it, for SamModel.from_pretrained
sam = PeftModel.from_pretrained(SamModel.from_pretrained(base), {folder}).base_model.model.eval()"""
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

{about} Without prompts and with `multimask_output=False` it gives the masks it was trained for.
"""


def export_peft_folder(merged: Path, output: Path, package: Package = "segment-anything") -> str:
    """Write a merged model as a PEFT adapter: its LoRA, and mask decoder and neck as modules to save, atomically.

    Args:
        merged: what stage merge wrote.
        output: the folder; replaced if it exists.
        package: whose SAM it is for: segment-anything's `Sam`, or `SamModel` of transformers.

    Returns:
        The lines of Python that load it onto the base model `sam`; see also `export_sam_checkpoint`.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
        MergeError: if the model is not an ordinary SAM, or has no LoRA.
    """
    plain = read_plain_sam(merged)
    if not isinstance(spec := MODEL_SPECS[plain.name], ViTSpec):
        other = "hf" if isinstance(spec, TrackerSpec) else "sam"
        raise MergeError(
            f"{merged} is a {plain.name}, and a LoRA for PEFT is written for the original SAM; use naslora export "
            f"{other}"
        )
    lora = read_weights(merged / LORA_FILE)
    if not lora:
        raise MergeError(
            f"{merged / LORA_FILE} is empty: this merge left no low-rank update to export, only a mask decoder; "
            "adapt with adapter.method lora, conv_lora, nas_lora or nas_pc_lora and merge with merge.mode exact or "
            "calibrated, or export a SAM checkpoint"
        )
    load = plain.comments() + _lines(plain, output, package)
    rename = to_hugging_face if package == "transformers" else str
    lora = {".".join((rename(layer), part)): lora[f"{layer}.{part}"] for layer in _layers(lora) for part in _PARTS}
    with atomic_directory(output) as folder:
        save_weights(folder / WEIGHTS_FILE, _tensors(plain, lora, rename), {"format": "pt"})
        write_json(folder / CONFIG_FILE, _config(lora, rename))
        if package == "transformers":
            write_json(folder / PROCESSOR_FILE, describe_processor(plain.image_size))
        (folder / CARD_FILE).write_text(_card(plain, lora, load, package), encoding="utf-8")
    return load


def _lines(plain: PlainSam, output: Path, package: Package) -> str:
    if package == "transformers":
        load = _LINES_OF_TRANSFORMERS.format(base=_HUB.get(plain.name, _NO_HUB), folder=in_python(output))
        return hf_lines(plain.head, plain.image_size, load, in_python(output))
    load = _LINES.format(folder=in_python(output))
    return load if plain.head.scale is None else f"{load}\n{_PREDICTOR}{sam_lines(plain.head, plain.image_size)}"


def _tensors(plain: PlainSam, lora: Mapping[str, Tensor], rename: Callable[[str], str]) -> dict[str, Tensor]:
    own = tuple(f"{module}." for module in _SAVED_MODULES)
    saved = {f"{_PREFIX}{rename(key)}": value for key, value in plain.weights.items() if key.startswith(own)}
    return saved | {f"{_PREFIX}{key}.weight": value for key, value in lora.items()}


def _layers(lora: Mapping[str, Tensor]) -> list[str]:
    return [key.removesuffix(".lora_A") for key in lora if key.endswith(".lora_A")]


def _ranks(lora: Mapping[str, Tensor]) -> dict[str, int]:
    return {layer: len(lora[f"{layer}.lora_A"]) for layer in _layers(lora)}


def _config(lora: Mapping[str, Tensor], rename: Callable[[str], str]) -> dict[str, object]:
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
        "modules_to_save": [rename(module) for module in _SAVED_MODULES],
    }


def _card(plain: PlainSam, lora: Mapping[str, Tensor], load: str, package: Package) -> str:
    ranks = _ranks(lora)
    return _CARD.format(
        rank=" to ".join(str(rank) for rank in sorted({min(ranks.values()), max(ranks.values())})),
        layers=len(ranks),
        name=plain.name,
        sha256=plain.base_sha256,
        load=load,
        about=_about_base(plain, package),
    )


def _about_base(plain: PlainSam, package: Package) -> str:
    if package == "transformers":
        return (
            "Here `base` is that model in the layout of transformers: its tensors have to be those of that checkpoint."
        )
    registry = f'segment_anything.sam_model_registry["{plain.name}"](checkpoint=...)'
    own = "naslora_core.sam.checkpoint.load_base(params.model)"
    return f"Here `sam` is that model, from `{registry if MODEL_SPECS[plain.name].source else own}`."
