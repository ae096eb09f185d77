"""Every export says how images of more than 8 bits became the pixels that the model takes."""

import json

import pytest

from naslora_core.adapted.attach import add_adapters
from naslora_core.data.dataset.image_files.reading import ImageReading, parse_reading
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.export.graph import read_source
from naslora_core.export.peft_folder import CARD_FILE, export_peft_folder
from naslora_core.export.sam_checkpoint import export_sam_checkpoint
from naslora_core.merge.exact import exact
from naslora_core.merge.merged import CONFIG_FILE, save_merged
from naslora_core.merge.training_images import describe_training, stored_reading
from naslora_core.sam.build import build_sam

READING = ImageReading.model_validate({"bands": [4, 3, 2], "range": {"low": 12, "high": 3987}})
LINE = "image: {bands: [4, 3, 2], range: {low: 12, high: 3987}}"


@pytest.fixture(params=[READING, None], ids=["deep", "plain"])
def merged(request, adapter, search, tmp_path):
    """A merged model in a folder, and how its training images were read."""
    sam = build_sam("sam_tiny")
    add_adapters(sam, adapter.model_copy(update={"method": "lora"}), search, seed=1)
    data = PreparedData(
        [],
        [],
        [(64, 48)],
        [(640, 480)],
        ["a"],
        classes=("cell",),
        side=64,
        reading=request.param and json.loads(request.param.model_dump_json(exclude_none=True)),
    )
    origin = {"base": {"sha256": "0" * 64}, **describe_training(data)}
    save_merged(tmp_path, exact(sam), "sam_tiny", "exact", origin)
    return tmp_path, request.param


def test_graphs_checkpoints_and_adapters_state_it(merged, tmp_path):
    folder, reading = merged
    assert parse_reading(stored_reading(folder), folder) == reading
    stored = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["origin"]["training_images"]
    assert ("image" in stored) == (reading is not None)
    about = read_source(folder).about.get("image_reading", "")
    lines = export_sam_checkpoint(folder, tmp_path / "model.pth")
    load = export_peft_folder(folder, tmp_path / "lora")
    card = (tmp_path / "lora" / CARD_FILE).read_text(encoding="utf-8")
    assert [LINE in text for text in (about, lines, load, card)] == [reading is not None] * 4
