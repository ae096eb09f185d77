"""Whoever reads a training step from batch to updated weights has few files to open."""

import sys
from pathlib import Path
from types import FrameType

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.sam.build import build_sam
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.phases import AlternatingPhases

ROOT = Path(__file__).parents[3]
SIDE = 64
# The network under the adapters is Segment Anything's, windows too; of the operations one reads those one asks about.
ASIDE = ("naslora_core/sam/", "naslora_core/geometry/windows.py", "naslora_core/ops/")
NOT_ASIDE = ("naslora_core/sam/segmenter.py", "naslora_core/ops/base.py")


@pytest.mark.parametrize(
    ("method", "view", "most"),
    [("nas_lora", "whole", 12), ("lora", "whole", 12), ("none", "whole", 12), ("nas_lora", "crops", 14)],
)
def test_a_training_step_is_told_in_at_most_twelve_files_and_one_of_crops_in_two_more(
    method, view, most, adapter, search, train, whole_images
):
    images = torch.randint(0, 256, (4, SIDE, SIDE, 3), dtype=torch.uint8).numpy()
    data = PreparedData(images, images[..., 0] % 2, [(SIDE, SIDE)] * 4, [(SIDE, SIDE)] * 4, list("abcd"))
    data = data if view == "whole" else whole_images
    sam = build_sam("sam_tiny", SIDE)
    settings = search.model_copy(update={"warmup_epochs": 0})
    adapters = add_adapters(sam, adapter.model_copy(update={"method": method}), settings, seed=1)
    training = train.model_copy(update={"epochs": 1, "batch_size": 1})
    phases = AlternatingPhases(PromptFreeSegmenter(sam), adapters, data, training, settings, "fp32", 3)
    files: set[str] = set()
    told: list[int] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT / "naslora_core"):
            files.add(str(path.relative_to(ROOT)))

    def between_two_steps(done: int, total: int, message: str) -> None:
        told.append(done)
        sys.setprofile(note if len(told) == 1 else None)

    phases.run_epoch(0, between_two_steps)
    read = sorted(file for file in files if not file.startswith(ASIDE) or file in NOT_ASIDE)
    assert "naslora_core/training/phases.py" in read
    assert "naslora_core/training/losses.py" in read
    assert len(read) <= most, read
