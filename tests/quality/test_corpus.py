"""Every entry of the corpus gets its verdict, without a traceback, a hang or a need of memory."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from naslora_core.config import load_params
from naslora_core.data.card import DatasetCard, SplitRule, write_card
from naslora_core.data.splits import SPLITS, write_splits
from naslora_core.errors import DataError
from naslora_core.quality.gate import check_dataset
from naslora_core.quality.verdict import Verdict
from tests.quality.corpus import ENTRIES, Entry, draw, draw_mask, save

QUALITY = load_params(Path(__file__).parents[2] / "params.yaml").quality
CARD = DatasetCard(
    name="corpus", title="Corpus", classes=("disc",), mask_threshold=128, licence="none", citation="none",
    source="a test", split=SplitRule(kind="random", seed=3, train=0.6, validation=0.2, test=0.2),
)  # fmt: skip


def write_pairs(root: Path, names: list[str]) -> None:
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for seed, name in enumerate(names, start=100):
        save(root / "images" / f"{name}.png", draw(seed))
        save(root / "masks" / f"{name}.png", draw_mask())
    write_card(root, CARD)
    write_splits(root, {name: SPLITS[place % 3] for place, name in enumerate(names)})


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    root = tmp_path_factory.mktemp("corpus") / "corpus"
    write_pairs(root, [entry.name for entry in ENTRIES])
    for entry in ENTRIES:
        entry.spoil(root / "images" / f"{entry.name}.png", root / "masks" / f"{entry.name}.png")
    started = time.process_time()
    found, _ = check_dataset(root, QUALITY)
    assert time.process_time() - started < 20, "no entry may take long"
    return found


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_entry_is_named_for_what_is_wrong_with_it_and_nothing_else(entry: Entry, verdict: Verdict) -> None:
    found = {
        f"{failure.severity} {failure.expectation} {file.file.split('s/')[0]}"
        for failure in verdict.failures
        for file in failure.files
        if Path(file.file).stem == entry.name
    }
    assert found == set(entry.checks)


def test_the_corpus_is_large_enough_and_every_check_was_made(verdict: Verdict) -> None:
    assert len(ENTRIES) >= 40
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
