"""A project of drawn images and a base with random weights, for the real stages."""

import shutil
from pathlib import Path

import torch

from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import save_weights

DOMAIN = "leaf_lesions"
# The paper's cell, instead of the search under a budget that params.yaml comes with.
MIXTURE = ["search.budget=none", "search.space=linear", "adapter.target_modules=[attn.qkv]"]
REPOSITORY = Path(__file__).parents[2]


def draw_project(root: Path) -> list[str]:
    """Draw twelve images, make a base and copy params.yaml; returns the settings that name domain and base."""
    generate_domain(DOMAIN, root / "data" / DOMAIN, count=12, seed=1)
    base = root / "models" / "sam_tiny.safetensors"
    torch.manual_seed(21)
    save_weights(base, build_sam("sam_tiny").state_dict(), {})
    shutil.copy(REPOSITORY / "params.yaml", root / "params.yaml")
    return [f"domains=[{DOMAIN}]", f"model.checkpoint={base}"]
