"""Folders of weight files: which of them hold the weights, and whether config.json says the same as those."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from naslora_core.errors import CheckpointError, few
from naslora_core.reading import read_object
from naslora_core.sam.specs import ModelSpec

CONFIG_FILE = "config.json"
# What transformers looks for in a folder, in its order.
_WHOLE, _SHARDED = ("model.safetensors", "pytorch_model.bin"), ".index.json"
_SHARD = re.compile(r"-\d{5}-of-(\d{5})\.\w+$")
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
# A file or folder by which one knows what wrote a folder, what that is, and what to do.
_OTHERS = (
    ("adapter_config.json", "an adapter of PEFT, which is no base", "merge it into its model there (merge_and_unload), "
     "and give the folder that save_pretrained writes then"),
    ("adapter.json", "an adapter that naslora trained, which is no base", "give the base that it was trained on, or "
     "the folder that stage merge wrote for it"),
    ("snapshots", "the cache of a repository of Hugging Face", "give the folder of one revision below snapshots"),
    ("zero_to_fp32.py", "a checkpoint of DeepSpeed, whose weights are in parts", "run its zero_to_fp32.py, and give "
     "the file that writes"),
    (".metadata", "a checkpoint of torch.distributed, whose weights are in parts", "join them: python -m "
     "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pth"),
)  # fmt: skip
# By family, what model_type in config.json may be; SAM and MobileSAM are not told apart where transformers has one.
_MODEL_TYPES = {
    "sam": ("sam", "sam_hq"),
    "sam2": ("sam2", "sam2_video"),
    "sam3": ("sam3_tracker", "sam3_video", "sam3_tracker_video", "sam3"),
}
# Names in the configuration of an encoder, and in `ModelSpec`; what weights do not tell, such as the windows, is in it.
_FIELDS = {
    "hidden_size": "encoder_width",
    "num_hidden_layers": "encoder_depth",
    "num_attention_heads": "encoder_heads",
    "patch_size": "patch_size",
    "window_size": "window_size",
    "global_attn_indexes": "global_attn_indexes",
    "use_rel_pos": "use_rel_pos",
    "blocks_per_stage": "blocks",
    "window_size_per_stage": "window_sizes",
    "global_attention_blocks": "global_attn_indexes",
}


def weight_files(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the weights of a checkpoint: the file itself, or those of a Hugging Face folder.

    Raises:
        CheckpointError: if a folder holds none, or its index names others than are there, or a file is one shard.
    """
    if not path.is_dir():
        if (shard := _SHARD.search(path.name)) and int(shard[1]) > 1:
            raise CheckpointError(
                f"{path} is one of {int(shard[1])} shards; give the folder that holds all, with their index"
            )
        return (path,)
    for name in _WHOLE:
        if (path / name).is_file():
            return (path / name,)
        if (path / f"{name}{_SHARDED}").is_file():
            return _shards(path / f"{name}{_SHARDED}")
    raise CheckpointError(_describe(path))


def require_same_config(folder: Path, family: str, name: str, spec: ModelSpec) -> None:
    """Check that a folder's config.json, if there is one, describes the model that its weights are of.

    Args:
        folder: with the weights.
        family: of the weights.
        name: of the model in messages.
        spec: of the model that is built for these weights.

    Raises:
        CheckpointError: naming what is another there: the weights would be used by a network they were not made for.
    """
    file = folder / CONFIG_FILE
    if not file.is_file():
        return
    try:
        config = read_object(file)
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}); fetch it again, or give the weights alone") from error
    kind, expected = config.get("model_type"), _MODEL_TYPES.get(family, ())
    if kind and expected and kind not in expected:
        raise CheckpointError(
            f"{file} says model_type {kind}, and the weights beside it are of family {family}; fetch both again, or "
            "give the weight file alone"
        )
    for key, found in _encoder_fields(config):
        wanted = getattr(spec, _FIELDS[key], None)
        if wanted is not None and found != (list(wanted) if isinstance(wanted, tuple) else wanted):
            shown = list(wanted) if isinstance(wanted, tuple) else wanted
            raise CheckpointError(
                f"{file} says {key} {found}, and the weights beside it are those of {name}, which has {shown}; that "
                "network is not known here"
            )


def _encoder_fields(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    # SAM 3's whole has tracker and detector; the video models nest theirs once more.
    for outer in ("detector_config", "tracker_config"):
        if isinstance(inner := config.get(outer), Mapping):
            yield from _encoder_fields(inner)
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return
    encoder = vision.get("backbone_config", vision)
    if isinstance(encoder, Mapping):
        yield from ((key, encoder[key]) for key in _FIELDS if key in encoder)


def _shards(index: Path) -> tuple[Path, ...]:
    try:
        listed = read_object(index)["weight_map"]
        names = sorted({str(name) for name in listed.values()})
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("weight_map has to name files of this folder")
    except (ValueError, KeyError, AttributeError, OSError) as error:
        raise CheckpointError(f"{index} cannot be read ({error}); fetch it again") from error
    files = tuple(index.parent / name for name in names)
    if missing := [file.name for file in files if not file.is_file()]:
        raise CheckpointError(f"{index} names {few(missing)}, which {index.parent} does not hold; fetch them again")
    return files


def _describe(folder: Path) -> str:
    for name, what, remedy in _OTHERS:
        if (folder / name).exists():
            return f"{folder} is {what}; {remedy}"
    names = sorted(entry.name for entry in folder.iterdir())
    if lost := [name for name in names if (folder / name).is_symlink() and not (folder / name).exists()]:
        return f"{folder / lost[0]} is a link to {(folder / lost[0]).readlink()}, which is not there; fetch it again"
    weights = [name for name in names if name.endswith(_SUFFIXES)]
    remedy = "give the file that holds the weights, or the folder that save_pretrained wrote"
    if weights and all(_SHARD.search(name) for name in weights):
        remedy = f"its shards need their index, {_WHOLE[0]}{_SHARDED}; fetch it too"
    elif weights:
        remedy = f"give the file that holds the weights, as {folder / weights[0]}"
    elif CONFIG_FILE in names:
        remedy = "the weights that belong to its config.json are not there; fetch them too"
    return f"{folder} is a folder without {' or '.join(_WHOLE)}: it holds {few(names) or 'nothing'}; {remedy}"
