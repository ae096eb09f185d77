"""Files that an earlier version wrote: today's code reads them to the same numbers, or says what to do."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from naslora_core.adapted.saved import load_adapted, read_adapter_config
from naslora_core.adapted.warm_start import find_warm_start
from naslora_core.config import ModelConfig
from naslora_core.data.curation.pack import unpack
from naslora_core.data.curation.quarantine_record import read_quarantine
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.prepared.clearance import clearance
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.errors import NasLoraError
from naslora_core.merge.merged import load_merged, read_merged_notes
from naslora_core.pretraining.config import PretrainConfig
from naslora_core.pretraining.state import PretrainState
from pipelines.bench.jobs import read_done
from pipelines.models.registry import ModelRegistry
from tests.golden.make import logits

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))


def unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(HERE / name) as archive:
        # Releases before 3.11.4 know no filters, and need none for an archive of our own.
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("models.tar.xz", tmp_path_factory.mktemp("models"))


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return unpacked("records.tar.xz", tmp_path)


def test_the_golden_files_are_small() -> None:
    assert sum(path.stat().st_size for path in HERE.iterdir() if path.is_file()) < 60_000


def test_an_adapter_and_its_merged_model_answer_as_on_the_day_they_were_written(models: Path) -> None:
    base = ModelConfig(
        name="sam_tiny", checkpoint=models / "base.safetensors", image_size="native", precision="fp32"
    )  # fmt: skip
    adapted = load_adapted(models / "adapter", base)[0].sam
    found = {"adapter": logits(adapted), "merged": logits(load_merged(models / "merged"))}
    assert max(abs(a - b) for a, b in zip(EXPECTED["base"], EXPECTED["adapter"], strict=True)) > 0.01
    for kind, values in found.items():
        # Folding is exact but for rounding, and processors round differently.
        assert values == pytest.approx(EXPECTED["adapter"], abs=2e-3), kind


def test_the_records_of_a_pipeline_say_what_they_said(records: Path) -> None:
    data = load_prepared(records / "prepared", "train")
    assert (data.names, data.classes, data.input_sizes) == (["a1", "a2"], ("disc",), [(12, 16)] * 2)
    assert data.masks[0].sum() == EXPECTED_FOREGROUND
    cleared = clearance(records / "clearance.json", records / "prepared" / "manifest.json", Path("none"))
    assert cleared["gate"] == "passed"
    unpack(records / "data" / "discs")
    assert [pair.name for pair in read_dataset(records / "data" / "discs").pairs] == ["a1", "a2", "b1"]
    assert [(one.name, one.split) for one in read_quarantine(records / "data" / "discs")] == [("b2", "test")]
    record = ModelRegistry(records).read("discs")
    assert record.in_service is not None
    assert record.in_service.metrics == {"dice": 0.9}
    assert (start := find_warm_start(records)) is not None
    assert (start.version, start.epochs) == (3, 6)
    assert read_done(records / "bench.json") == {"energy_j": None, "refused": "too much"}


# The pixels above 120 of the pattern that make.py draws, counted by hand of its formula.
EXPECTED_FOREGROUND = sum((row + column) * 9 % 256 > 120 for row in range(12) for column in range(16))

Read = Callable[[Path], object]
VERSIONED: dict[str, tuple[str, Read]] = {
    "adapter/adapter.json": ("models", lambda folder: read_adapter_config(folder / "adapter")),
    "merged/model.json": ("models", lambda folder: read_merged_notes(folder / "merged")),
    "prepared/manifest.json": ("records", lambda folder: load_prepared(folder / "prepared", "train")),
    "clearance.json": (
        "records",
        lambda folder: clearance(folder / "clearance.json", folder / "prepared" / "manifest.json", Path("none")),
    ),
    "data/discs/shards/index.json": ("records", lambda folder: unpack(folder / "data" / "discs")),
    "registry/discs.json": ("records", lambda folder: ModelRegistry(folder).read("discs")),
    "start.json": ("records", find_warm_start),
    "bench.json": ("records", lambda folder: read_done(folder / "bench.json")),
}


def with_format(path: Path, change: int) -> int:
    """Write a file's format anew, and return the one that it had."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    holder = content.get("recipe", content)
    before: int = holder["format"]
    holder["format"] = before + change
    path.write_text(json.dumps(content))
    return before


@pytest.mark.parametrize("file", VERSIONED)
@pytest.mark.parametrize("change", [1, -1])
def test_a_file_of_another_version_is_refused_with_what_to_do(file: str, change: int, tmp_path: Path) -> None:
    archive, read = VERSIONED[file]
    folder = unpacked(f"{archive}.tar.xz", tmp_path)
    read(folder)
    before = with_format(folder / file, change)
    remedy = "a newer naslora wrote it: update this one" if change > 0 else r"\w+"
    with pytest.raises(
        NasLoraError, match=rf"{Path(file).name} has format {before + change}, this version reads {before}; {remedy}"
    ):
        read(folder)


def test_a_checkpoint_of_pretraining_of_another_version_is_refused(tmp_path: Path) -> None:
    state = PretrainState(PretrainConfig(steps=1))
    path = tmp_path / "sam.resume"
    state.save(path)
    state.resume(path)
    torch.save({**torch.load(path, weights_only=True), "format": 2}, path)
    with pytest.raises(NasLoraError, match="has format 2, this version reads 1; a newer naslora wrote it"):
        state.resume(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(NasLoraError, match="cannot be read .*; delete it to start anew"):
        state.resume(path)
