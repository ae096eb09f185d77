"""A project with the real stages, a handful of drawn images and a base with random weights, as small as it works."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from naslora_core.config import Params, load_params
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import save_weights

DOMAIN = "leaf_lesions"
SETTINGS = [
    f"domains=[{DOMAIN}]",
    "model.image_size=64",
    "model.precision=fp32",
    # Steps of weights and of alphas, in turns.
    "search.budget=none",
    "search.space=linear",
    "adapter.target_modules=[attn.qkv]",
    "adapter.rank=2",
    "train.epochs=3",
    "train.batch_size=2",
    "search.warmup_epochs=1",
    "search.arch_every=1",
    "search.arch_split=0.3",
    "merge.max_metric_drop=1",
]
REPOSITORY = Path(__file__).parents[2]


# Crops of windows as large as the images are, so that there are as many of them, and a decoder with a detail path.
CROPS = ["train.view=crops", "train.scale=0.2", "train.detail=half"]


def build(root: Path, images: int = 14, settings: Sequence[str] = ()) -> Params:
    """Write data, base, settings and a copy of the code, so that nothing that is edited meanwhile matters."""
    generate_domain(DOMAIN, root / "data" / DOMAIN, count=images, seed=1)
    torch.manual_seed(21)
    save_weights(root / "models" / "sam_tiny.safetensors", build_sam("sam_tiny").state_dict(), {})
    params = load_params(REPOSITORY / "params.yaml", [*SETTINGS, *settings])
    # JSON is YAML, too.
    (root / "params.yaml").write_text(params.model_dump_json(indent=2), encoding="utf-8")
    for name in ("naslora_core", "stages"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root / name)
    return params


def digests(folder: Path) -> dict[str, str]:
    """Return what every file under a folder holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
