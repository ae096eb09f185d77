"""Miniatures of the families beside the original SAM, with random weights, as files that people really have."""

from pathlib import Path
from typing import Any

import pytest
import torch

from naslora_core.sam.build import build_sam
from naslora_core.sam.families.mobile_sam_keys import to_official
from naslora_core.sam.specs import find_spec

FAMILIES = ("mobile_sam_mini", "sam2_mini", "sam3_mini")


def save_miniature(name: str, folder: Path) -> list[str]:
    """Save a MobileSAM in its authors' layout, or a SAM 2 or SAM 3 as a folder of transformers.

    Returns:
        The settings that train on it.
    """
    pytest.importorskip("timm", reason="timm comes with the extras dev and hf")
    transformers = pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")
    from naslora_core.sam.families import sam2, sam3

    torch.manual_seed(21)
    path = folder / name
    if name == "mobile_sam_mini":
        path = folder / "mobile_sam_mini.pt"
        torch.save(to_official(_moved(build_sam(name)).state_dict()), path)
    else:
        package, model = (sam2, "Sam2Model") if name == "sam2_mini" else (sam3, "Sam3TrackerModel")
        _moved(getattr(transformers, model)(package.hf_config(find_spec(name)))).save_pretrained(path)
    return [f"model.name={name}", f"model.checkpoint={path}", "model.precision=fp32"]


@torch.no_grad()
def _moved(model: Any) -> Any:
    """Move every weight, so that none is zero or one as packages initialise them."""
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape), alpha=0.1)
    return model
