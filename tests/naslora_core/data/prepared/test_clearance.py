import json
from collections.abc import Callable
from pathlib import Path

import pytest

from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.data.prepared.clearance import clearance
from naslora_core.errors import DataError

Write = Callable[..., Path]


@pytest.fixture
def judged(write_dataset: Write, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return clearance, manifest and dataset, which agree."""
    root = write_dataset(5)
    digest = fingerprint(read_dataset(root))
    cleared, manifest = tmp_path / "clearance.json", tmp_path / "manifest.json"
    cleared.write_text(json.dumps({"passed": True, "dataset_sha256": digest}))
    manifest.write_text(json.dumps({"dataset_sha256": digest}))
    return cleared, manifest, root


def test_data_that_passed_is_cleared_also_where_only_the_arrays_are(judged: tuple[Path, Path, Path]) -> None:
    cleared, manifest, root = judged
    digest = fingerprint(read_dataset(root))
    assert clearance(*judged) == {"dataset_sha256": digest, "gate": "passed"}
    assert clearance(cleared, manifest, root.parent / "elsewhere")["gate"] == "passed"


def spoil_cleared(cleared: Path, manifest: Path, root: Path) -> None:
    cleared.write_text(json.dumps(json.loads(cleared.read_text()) | {"passed": False}))


def lose_cleared(cleared: Path, manifest: Path, root: Path) -> None:
    cleared.unlink()


def prepare_other_data(cleared: Path, manifest: Path, root: Path) -> None:
    manifest.write_text(json.dumps({"dataset_sha256": "0" * 64}))


def change_data(cleared: Path, manifest: Path, root: Path) -> None:
    (root / "images" / "disc_01.jpg").write_bytes((root / "images" / "disc_02.jpg").read_bytes())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lose_cleared, "the gate has not judged 'discs'.*naslora run --domain discs"),
        (spoil_cleared, "rejects the data; mend what naslora data check discs names"),
        (prepare_other_data, r"manifest\.json was made from other data than"),
        (change_data, "discs has changed since it was judged and preprocessed"),
    ],
)
def test_each_way_of_not_being_judged_is_named(
    judged: tuple[Path, Path, Path], spoil: Callable[[Path, Path, Path], None], message: str
) -> None:
    spoil(*judged)
    with pytest.raises(DataError, match=message):
        clearance(*judged)
