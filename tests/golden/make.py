"""Write the golden files: python -m tests.golden.make. Only where a format has got another number.

Weights follow a formula that repeats, so that megabytes of them pack into a few kB.
"""

import json
import tarfile
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import save_adapted
from naslora_core.config import ModelConfig, load_params
from naslora_core.data.curation.pack import pack
from naslora_core.data.curation.quarantine import quarantine
from naslora_core.data.dataset.card import DatasetCard, write_card
from naslora_core.data.dataset.clearance import write_clearance
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.splits import write_splits
from naslora_core.data.preprocess.preprocess import preprocess
from naslora_core.files import write_json
from naslora_core.merge.fold import fold
from naslora_core.merge.merged import save_merged
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import save_weights
from pipelines.models.registry import ModelRegistry, Record
from tests.fuzz.seeds import card
from tests.fuzz.targets.records import RECORD

HERE = Path(__file__).parent
SETTINGS = (
    "adapter.rank=2",
    "adapter.target_modules=[blocks.0.attn.qkv]",
    "search.budget=none",
    "search.space=[skip_connect, conv_3x3]",
)
# Rows and columns of the logits that expected.json holds.
PLACES = ((5, 9), (20, 31), (32, 50), (60, 60))


def image() -> torch.Tensor:
    """Return (1, 3, 256, 256) uint8, a pattern without a random number in it."""
    rows, columns, channels = np.ogrid[:256, :256, :3]
    pixels = ((rows * 3 + columns * 5 + (rows * columns) // 64 + channels * 40) % 256).astype(np.uint8)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


@torch.no_grad()
def logits(sam: Sam) -> list[float]:
    """Return the model's logits at `PLACES`."""
    answer = PromptFreeSegmenter(sam).eval()(image())
    assert answer.shape == (1, 1, 64, 64), answer.shape
    return [round(float(answer[0, 0, row, column]), 6) for row, column in PLACES]


@torch.no_grad()
def fill(module: torch.nn.Module) -> None:
    """Give every weight a value by its place: small, of both signs, and again after 17 places; every bias 0.01."""
    for name, value in module.state_dict().items():
        if value.ndim > 1:
            value.copy_(pattern(value))
        elif name.endswith("bias"):
            value.fill_(0.01)


def pattern(like: torch.Tensor) -> torch.Tensor:
    """Return values of the shape of `like`, as `fill` gives them."""
    steps = (torch.arange(like.numel()) * 7 % 17 - 8).reshape(like.shape)
    return steps / 8 / like[0].numel() ** 0.5


def write_models(folder: Path) -> dict[str, list[float]]:
    """Write a base, an adapter on it and the model that both fold to; return their logits."""
    sam = build_sam("sam_tiny")
    fill(sam)
    save_weights(folder / "base.safetensors", sam.state_dict(), {"format": "naslora-sam-1"})
    params = load_params(HERE.parents[1] / "params.yaml", SETTINGS)
    model = ModelConfig(
        name="sam_tiny", checkpoint=folder / "base.safetensors", image_size="native", precision="fp32"
    )  # fmt: skip
    sam = load_base(model)
    expected = {"base": logits(sam)}
    adapters = add_adapters(sam, params.adapter, params.search, seed=1)
    for adapter in adapters.values():
        for name, parameter in adapter.named_parameters():
            if not name.startswith("base_layer."):
                parameter.data.copy_(pattern(parameter))
    (folder / "adapter").mkdir()
    about = {"dataset_sha256": "0" * 64, "gate": "passed"}
    segmenter = PromptFreeSegmenter(sam).eval()
    save_adapted(folder / "adapter", segmenter, adapters, model, params.adapter, params.search, 1, about)
    expected["adapter"] = logits(sam)
    (folder / "merged").mkdir()
    origin = {"base": json.loads((folder / "adapter" / "adapter.json").read_text())["base"], "seed": 1, **about}
    save_merged(folder / "merged", fold(sam), "sam_tiny", "fold", origin)
    return expected


def write_records(folder: Path) -> None:
    """Write a packed dataset, its prepared data, a clearance, a registry, and the notes of a warm start and a cell."""
    root = folder / "data" / "discs"
    pixels = (np.indices((12, 16)).sum(axis=0) * 9 % 256).astype(np.uint8)
    for name in ("a1", "a2", "b1", "b2"):
        for kind, picture in (("images", np.dstack([pixels] * 3)), ("masks", np.uint8(255) * (pixels > 120))):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(root / kind / f"{name}.png")
    write_card(root, DatasetCard.model_validate(card(accepted_copies=())))
    write_splits(root, {"a1": "train", "a2": "train", "b1": "validation", "b2": "test"})
    quarantine(root, {"b2": "blurred"}, date(2026, 1, 1))
    preprocess(read_dataset(root), 16, folder / "prepared", workers=1)
    sha256 = json.loads((folder / "prepared" / "manifest.json").read_text())["dataset_sha256"]
    write_clearance(folder / "clearance.json", passed=True, dataset="discs", dataset_sha256=sha256)
    ModelRegistry(folder).write(Record.model_validate(RECORD))
    write_json(folder / "start.json", {"format": 1, "version": 3, "epochs": 6})
    write_json(
        folder / "bench.json", {"format": 1, "cell": "discs:lora:seed=7", "energy_j": None, "refused": "too much"}
    )
    pack(root)


def archive(folder: Path, path: Path) -> None:
    """Pack a folder without times and owners, so that the same files give the same archive."""
    with tarfile.open(path, "w:xz", preset=9) as packed:
        for file in sorted(folder.rglob("*")):
            entry = packed.gettarinfo(file, str(file.relative_to(folder)))
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
            with file.open("rb") if file.is_file() else Path("/dev/null").open("rb") as stream:
                packed.addfile(entry, stream if file.is_file() else None)


def main() -> None:
    """Write models.tar.xz, records.tar.xz and expected.json beside this file."""
    with tempfile.TemporaryDirectory() as name:
        models, records = Path(name) / "models", Path(name) / "records"
        models.mkdir()
        records.mkdir()
        write_json(HERE / "expected.json", write_models(models))
        write_records(records)
        archive(models, HERE / "models.tar.xz")
        archive(records, HERE / "records.tar.xz")


if __name__ == "__main__":
    main()
