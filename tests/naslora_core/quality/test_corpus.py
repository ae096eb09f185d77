"""Every entry of the corpus gets its verdict, without a traceback, a hang or a need of memory."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from naslora_core.data.dataset.card import write_card
from naslora_core.data.dataset.splits import read_splits, write_splits
from naslora_core.errors import DataError
from naslora_core.quality.gate import check_dataset
from naslora_core.quality.measure import KINDS
from naslora_core.quality.measure_file import measure_file
from naslora_core.quality.verdict import Verdict
from tests.naslora_core.quality.band_corpus import BAND_ENTRIES
from tests.naslora_core.quality.corpus import ENTRIES as PLAIN_ENTRIES
from tests.naslora_core.quality.corpus import Entry, draw, save
from tests.naslora_core.quality.flawless import CARD, QUALITY, write_pairs

ENTRIES = (*PLAIN_ENTRIES, *BAND_ENTRIES)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus") / "corpus"
    write_pairs(root, [entry.name for entry in ENTRIES])
    for entry in ENTRIES:
        entry.spoil(root / "images" / f"{entry.name}.png", root / "masks" / f"{entry.name}.png")
    return root


@pytest.fixture(scope="module")
def verdict(corpus: Path) -> Verdict:
    return check_dataset(corpus, QUALITY)[0]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_entry_is_named_for_what_is_wrong_with_it_and_nothing_else(
    entry: Entry, verdict: Verdict, corpus: Path
) -> None:
    if entry.needs_user and os.geteuid() == 0:
        pytest.skip("root may read every file")
    found = {
        f"{failure.severity} {failure.expectation} {file.file.split('s/')[0]}"
        for failure in verdict.failures
        for file in failure.files
        if Path(file.file).stem == entry.name
    }
    assert found == set(entry.checks)
    started = time.process_time()
    for kind in KINDS:
        for path in corpus.glob(f"{kind}s/{entry.name}.*"):
            measure_file((kind, path), CARD)
    assert time.process_time() - started < 5, "no entry may take long"


def test_the_corpus_is_large_enough_and_every_check_was_made(verdict: Verdict) -> None:
    assert len(ENTRIES) >= 70
    assert verdict.expectations_run == verdict.expectations_expected


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    write_pairs(tmp_path / "corpus", [f"pair_{index:02d}" for index in range(12)])
    return tmp_path / "corpus"


def copy_reencoded(root: Path) -> None:
    Image.open(root / "images/pair_00.png").save(root / "images/pair_01.jpg", quality=70)
    (root / "images/pair_01.png").unlink()


def copy_bytes(root: Path) -> None:
    (root / "images/pair_01.png").write_bytes((root / "images/pair_00.png").read_bytes())


def copy_resized(root: Path) -> None:
    Image.open(root / "images/pair_00.png").resize((160, 128), 2).save(root / "images/pair_01.png")
    Image.open(root / "masks/pair_01.png").resize((160, 128), 0).save(root / "masks/pair_01.png")


@pytest.mark.parametrize("copy", [copy_bytes, copy_reencoded, copy_resized])
def test_an_image_in_two_splits_is_critical_unless_the_card_accepts_it(copy, root: Path) -> None:  # noqa: ANN001
    copy(root)
    suffix = ".jpg" if copy is copy_reencoded else ".png"
    files = ["images/pair_00.png", f"images/pair_01{suffix}"]
    verdict, _ = check_dataset(root, QUALITY)
    assert [(f.expectation, f.severity, [e.file for e in f.files]) for f in verdict.failures] == [
        ("no_leak", "critical", files)
    ]
    if copy is copy_bytes:
        write_card(root, CARD.model_copy(update={"accepted_copies": (("pair_01", "pair_00"),)}))
        verdict, _ = check_dataset(root, QUALITY)
        assert [(f.expectation, f.severity) for f in verdict.failures] == [("no_accepted_leak", "warning")]


def test_a_byte_order_mark_is_no_matter_and_what_is_left_out_is_told(root: Path) -> None:
    (root / "splits.csv").write_bytes(b"\xef\xbb\xbf" + (root / "splits.csv").read_bytes())
    for name in ("images/x.heic", "images/Thumbs", "masks/notes.txt", "masks/.hidden", "masks/a\n.gif"):
        (root / name).touch()
    (root / "images" / "more").mkdir()
    verdict, _ = check_dataset(root, QUALITY)
    assert verdict.passed
    assert [(f.expectation, f.severity, f.count) for f in verdict.failures] == [("files_known", "warning", 5)]
    assert {file.file: file.problem.split(";")[0] for file in verdict.failures[0].files} == {
        "images/x.heic": "ends in .heic",
        "images/Thumbs": "has no suffix",
        "images/more": "is a folder",
        "masks/notes.txt": "ends in .txt",
        "masks/'a\\n.gif'": "ends in .gif",
    }
    assert "5 files do not comply" in verdict.message()
    assert "5 files." in verdict.markdown()


def test_a_group_over_two_splits_and_an_empty_split_are_critical(root: Path) -> None:
    splits = {name: split.replace("test", "train") for name, split in read_splits(root).items()}
    patients = {"pair_00": "patient", "pair_01": "patient", "pair_03": "other", "pair_06": "other"}
    assert splits["pair_00"] != splits["pair_01"]
    assert splits["pair_03"] == splits["pair_06"]
    write_splits(root, splits, patients)
    verdict, _ = check_dataset(root, QUALITY)
    assert [(f.expectation, f.severity, [e.file for e in f.files]) for f in verdict.failures] == [
        ("split_present", "critical", []),
        ("groups_together", "critical", ["images/pair_00.png", "images/pair_01.png"]),
    ]
    assert "empty: test" in verdict.message()


def append(file: str, text: str):  # noqa: ANN201
    return lambda root: (root / file).write_text((root / file).read_text() + text)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (append("splits.csv", "pair_00,train\n"), "pair_00.*listed a second time"),
        (append("splits.csv", "other,trian\n"), "did you mean 'train'"),
        (append("dataset.yaml", "colour: red\n"), "unknown field 'colour'"),
        (append("dataset.yaml", "mask_values: {blob: [1]}\n"), "mask_values"),
        (lambda root: save(root / "images" / "pair_00.jpg", draw(1)), "holds both pair_00.jpg and pair_00.png"),
        (lambda root: save(root / "images" / "a\nb.png", draw(1)), "line break"),
        (lambda root: (root / "images/pair_00.png").rename(Path(f"{root}/images/\udcff.png")), "outside UTF-8"),
    ],
)
def test_a_dataset_that_cannot_be_read_as_one_says_why(spoil, message: str, root: Path) -> None:  # noqa: ANN001
    spoil(root)
    with pytest.raises(DataError, match=message):
        check_dataset(root, QUALITY)
