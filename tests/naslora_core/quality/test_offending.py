"""Files that fail are written: the first pairs as pictures, all files as a table."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.quality.offending import write_contact_sheet, write_offending
from naslora_core.quality.verdict import Failure, FileProblem, Verdict
from tests.naslora_core.quality.corpus import draw, draw_mask, save
from tests.naslora_core.quality.flawless import write_pairs

TILE = (200, 260)  # W, H
MARKED = np.array((255, 0, 160))


def failure(severity: str, *files: str) -> Failure:
    listed = tuple(FileProblem(file=file, problem=f"is {severity}, isn't it") for file in files)
    return Failure(expectation="e", description="d", severity=severity, count=len(files), files=listed)


def verdict(*failures: Failure) -> Verdict:
    return Verdict(
        dataset="corpus", passed=False, pairs=6, pairs_per_split={}, expectations_expected=1, expectations_run=1,
        failures=failures,
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "corpus", [f"pair_{index:02d}" for index in range(4)])
    return tmp_path / "corpus"


def test_the_sheet_shows_images_with_their_mask_and_places_for_what_cannot_be_read(root: Path, tmp_path: Path) -> None:
    (root / "images/pair_01.png").write_bytes(b"broken")
    (root / "masks/pair_02.png").unlink()
    save(root / "masks/pair_03.png", draw_mask()[1:])
    found = verdict(
        failure("warning", "images/pair_00.png", "images/gone.png"),
        failure("critical", "images/pair_01.png", "images/pair_02.png", "masks/pair_03.png"),
        failure("critical", "masks/pair_01.png"),
    )
    write_contact_sheet(tmp_path / "sheet.png", found, read_dataset(root))
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (TILE[1], 5 * TILE[0], 3), "one tile a pair, however many of its files fail"
    broken, alone, other_size, whole, gone = (sheet[:, TILE[0] * place :][:, : TILE[0]] for place in range(5))
    for tile in (broken, gone):
        assert (tile[2:60, 2:198] == 200).all()
    for seed, tile in ((102, alone), (103, other_size)):
        np.testing.assert_array_equal(tile[2:66, 2:82], draw(seed))
    image, marked = draw(100), draw_mask() > 0
    np.testing.assert_array_equal(whole[2:66, 2:82][~marked], image[~marked])
    np.testing.assert_allclose(whole[2:66, 2:82][marked], 0.55 * image[marked] + 0.45 * MARKED, atol=1)
    assert all((tile[200:] < 128).any() for tile in (broken, alone, other_size, whole, gone)), "each says its reason"


def test_the_sheet_ends_after_four_rows_of_six_and_is_empty_if_nothing_fails(root: Path, tmp_path: Path) -> None:
    many = failure("critical", *(f"images/lost_{index}.png" for index in range(40)))
    for failures, size in (((many,), (6 * TILE[0], 4 * TILE[1])), ((), TILE)):
        write_contact_sheet(tmp_path / "sheet.png", verdict(*failures), read_dataset(root))
        assert Image.open(tmp_path / "sheet.png").size == size
    assert Image.open(tmp_path / "sheet.png").getcolors() == [(TILE[0] * TILE[1], (255, 255, 255))]


def test_the_table_lists_every_file_with_severity_and_reason(tmp_path: Path) -> None:
    write_offending(tmp_path / "table.csv", verdict(failure("critical", "a.png"), failure("warning", "b.png")))
    assert (tmp_path / "table.csv").read_text() == (
        "file,severity,check,problem\n"
        'a.png,critical,e,"is critical, isn\'t it"\n'
        'b.png,warning,e,"is warning, isn\'t it"\n'
    )
