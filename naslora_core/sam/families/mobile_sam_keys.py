"""The names of MobileSAM's weights: ours, which are timm's, and those of the authors' checkpoint."""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

_ENCODER = "image_encoder."
_CLASSES = 1000
# TinyViT was pre-trained with this classifier. The authors' model loads it strictly and never uses it.
CLASSIFIER = tuple(f"{_ENCODER}{name}" for name in ("head.weight", "head.bias", "norm_head.weight", "norm_head.bias"))


def to_official(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights under the names of the authors' `mobile_sam.pt`, which their model loads strictly.

    The classifier that their encoder has and never uses is neutral: zeros, and a norm of ones.

    Args:
        weights: state dict of our model.
    """
    width = weights[f"{_ENCODER}neck.0.weight"].shape[1]
    head = torch.zeros(_CLASSES, width), torch.zeros(_CLASSES), torch.ones(width), torch.zeros(width)
    official = dict(zip(CLASSIFIER, head, strict=True))
    for key, value in weights.items():
        pointwise = key.startswith(_ENCODER) and key.endswith(".linear.weight")
        official[_rename(key, _official_name)] = value[:, :, None, None] if pointwise else value
    return official


def from_official(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the authors' weights under our names, without the classifier; names it does not know stay.

    Args:
        weights: state dict of their model.
    """
    own = {}
    for key, value in weights.items():
        name = _rename(key, _own_name)
        pointwise = name.startswith(_ENCODER) and name.endswith(".linear.weight")
        own[name] = value.flatten(1) if pointwise else value
    return {key: value for key, value in own.items() if key not in CLASSIFIER}


def _rename(key: str, rename: Callable[[str], str]) -> str:
    return _ENCODER + rename(key.removeprefix(_ENCODER)) if key.startswith(_ENCODER) else key


def _official_name(name: str) -> str:
    name = re.sub(r"^patch_embed\.conv([12])\.", lambda found: f"patch_embed.seq.{2 * int(found[1]) - 2}.", name)
    # The authors have a merging at the end of the stage before it.
    name = re.sub(r"^stages\.(\d+)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", name)
    name = re.sub(r"^stages\.", "layers.", name)
    return re.sub(r"\.(conv|linear)\.(?=\w+$)", ".c.", name)


def _own_name(name: str) -> str:
    name = re.sub(r"^patch_embed\.seq\.([02])\.", lambda found: f"patch_embed.conv{int(found[1]) // 2 + 1}.", name)
    name = re.sub(r"^layers\.(\d+)\.downsample", lambda found: f"stages.{int(found[1]) + 1}.downsample", name)
    name = re.sub(r"^layers\.", "stages.", name)
    name = re.sub(r"^(stages\..*\.conv[13])\.c\.(?=\w+$)", r"\1.linear.", name)
    return re.sub(r"\.c\.(?=\w+$)", ".conv.", name)
