"""A project of drawn images and a base with random weights, for the real stages."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch

from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import save_weights

DOMAIN, BASE = "leaf_lesions", "models/sam_tiny.safetensors"
# The paper's cell, instead of the search under a budget that params.yaml comes with.
MIXTURE = ["search.budget=none", "search.space=linear", "adapter.target_modules=[attn.qkv]"]
REPOSITORY = Path(__file__).parents[2]


def draw_project(root: Path) -> list[str]:
    """Draw twelve images, make a base and copy params.yaml; returns the settings that name domain and base."""
    shutil.copytree(_drawn_once().name, root, dirs_exist_ok=True)
    shutil.copy(REPOSITORY / "params.yaml", root / "params.yaml")
    return [f"domains=[{DOMAIN}]", f"model.checkpoint={root / BASE}"]


@cache
def _drawn_once() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder with the images and the base, which goes when the tests end; to draw takes a second."""
    folder = tempfile.TemporaryDirectory(prefix="drawn-")
    generate_domain(DOMAIN, Path(folder.name, "data", DOMAIN), count=12, seed=1)
    torch.manual_seed(21)
    save_weights(Path(folder.name, BASE), build_sam("sam_tiny").state_dict(), {})
    return folder
