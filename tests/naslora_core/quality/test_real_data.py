"""Real images get the warnings that are true, and no others."""

import os
from pathlib import Path

import pytest

from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset
from naslora_core.quality.gate import check_dataset
from naslora_core.quality.verdict import Verdict
from tests.naslora_core.quality.flawless import QUALITY

pytestmark = pytest.mark.skipif(
    "NASLORA_DATASETS" not in os.environ, reason="NASLORA_DATASETS names no folder of real images"
)


def check_imported(layout: str, target: Path, request: ImportRequest) -> Verdict:
    import_dataset(IMPORTERS[layout](request), request, target)
    return check_dataset(target, QUALITY)[0]


def named(verdict: Verdict) -> dict[str, set[str]]:
    """Return the names of the pairs, by failing check; all failures have to be warnings."""
    assert verdict.passed
    return {failure.expectation: {Path(e.file).stem for e in failure.files} for failure in verdict.failures}


def test_kvasir_seg_passes_with_its_jpeg_masks_and_true_copies_named(tmp_path: Path) -> None:
    folder = Path(os.environ["NASLORA_DATASETS"]) / "kvasir-seg"
    verdict = check_imported("kvasir", tmp_path / "data" / "polyps", ImportRequest(folder))
    found = named(verdict)
    assert verdict.pairs_per_split == {"train": 800, "validation": 100, "test": 100}
    assert len(found.pop("two_values")) == 1000
    # Looked at by eye: a frozen frame in training and testing, and two frames that were taken twice.
    assert found == {
        "no_accepted_leak": {"test_16", "train_222"},
        "no_copies": {"train_459", "train_620", "train_510", "train_593"},
    }


@pytest.mark.parametrize("seed", [7, 8])
def test_soybean_rust_passes_however_it_is_divided_with_its_copy_named(tmp_path: Path, seed: int) -> None:
    folder = Path(os.environ["NASLORA_DATASETS"]) / "soybean-rust"
    request = ImportRequest(
        folder, images=folder / "original_images", masks=folder / "binary_mask", seed=seed
    )  # fmt: skip
    verdict = check_imported("folder", tmp_path / "data" / "rust", request)
    assert named(verdict) == {"no_copies": {"image29", "image37"}}
