from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset import read_dataset
from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset
from naslora_core.data.splits import read_splits
from naslora_core.errors import ConfigError, DataError

RNG = np.random.default_rng(0)


def save(path: Path, mask: bool = False, values: tuple[int, int] = (0, 255)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 255, (36, 36, 3), dtype=np.uint8)
    if mask:
        pixels = np.full((36, 36), values[0], np.uint8)
        pixels[8:20, 10:30] = values[1]
    Image.fromarray(pixels).save(path)


@pytest.fixture
def kvasir(tmp_path: Path) -> Path:
    root = tmp_path / "Kvasir-SEG"
    for split, count in (("train", 8), ("validation", 1), ("test", 1)):
        for number in range(count):
            save(root / split / "images" / f"{number}.jpg")
            save(root / split / "masks" / f"{number}.jpg", mask=True)
    return root


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    root = tmp_path / "leaves"
    for number in range(20):
        save(root / "original_images" / f"image{number}.jpeg")
        save(root / "binary_mask" / f"image{number}.png", mask=True)
    return root


def bring(layout: str, request: ImportRequest, target: Path, **options: bool) -> Path:
    import_dataset(IMPORTERS[layout](request), request, target, **options)
    return target


def test_the_published_split_of_kvasir_is_kept_although_numbers_repeat(kvasir: Path, tmp_path: Path) -> None:
    dataset = read_dataset(bring("kvasir", ImportRequest(kvasir), tmp_path / "data" / "kvasir"))
    assert len(dataset.pairs) == 10
    assert {pair.name: pair.split for pair in dataset.pairs}["test_0"] == "test"
    assert [pair.name for pair in dataset.of_split("validation")] == ["validation_0"]
    assert (dataset.card.split.kind, dataset.card.split.train) == ("listed", 0.8)
    assert dataset.card.classes == ("polyp",)


def test_the_official_layout_of_kvasir_gets_a_drawn_split(kvasir: Path, tmp_path: Path) -> None:
    request = ImportRequest(kvasir / "train", seed=4)
    dataset = read_dataset(bring("kvasir", request, tmp_path / "data" / "kvasir"))
    assert dataset.card.split.kind == "random"
    assert [len(dataset.of_split(split)) for split in ("train", "validation", "test")] == [6, 1, 1]


def test_files_are_copied_byte_for_byte(kvasir: Path, tmp_path: Path) -> None:
    root = bring("kvasir", ImportRequest(kvasir), tmp_path / "data" / "kvasir")
    original = kvasir / "train" / "masks" / "3.jpg"
    assert (root / "masks" / "train_3.jpg").read_bytes() == original.read_bytes()


def test_folders_with_usual_names_are_found(folders: Path, tmp_path: Path) -> None:
    save(folders / "probabilistic_mask" / "image0.png", mask=True)
    dataset = read_dataset(bring("folder", ImportRequest(folders), tmp_path / "data" / "leaves"))
    assert [len(dataset.of_split(split)) for split in ("train", "validation", "test")] == [14, 3, 3]
    assert dataset.pairs[0].mask is not None
    assert dataset.card.mask_threshold == 128


def test_folders_with_unusual_names_are_given(folders: Path, tmp_path: Path) -> None:
    (folders / "original_images").rename(folders / "a")
    (folders / "binary_mask").rename(folders / "b")
    with pytest.raises(DataError, match="no images folder; it holds: a, b. Name it with --images"):
        IMPORTERS["folder"](ImportRequest(folders))
    request = ImportRequest(folders, images=folders / "a", masks=folders / "b", class_name="rust")
    assert read_dataset(bring("folder", request, tmp_path / "data" / "x")).card.classes == ("rust",)


def test_masks_that_are_named_with_an_ending_are_paired(folders: Path, tmp_path: Path) -> None:
    for path in list((folders / "binary_mask").iterdir()):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    dataset = read_dataset(bring("folder", ImportRequest(folders), tmp_path / "data" / "leaves"))
    assert all(pair.image and pair.mask for pair in dataset.pairs)
    assert len(dataset.pairs) == 20


def test_masks_of_zero_and_one_are_read_as_such(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "in" / "images" / f"{number}.jpg")
        save(tmp_path / "in" / "masks" / f"{number}.png", mask=True, values=(0, 1))
    assert IMPORTERS["folder"](ImportRequest(tmp_path / "in")).mask_threshold == 1


def test_names_that_do_not_match_are_shown(folders: Path) -> None:
    for path in list((folders / "binary_mask").iterdir()):
        path.rename(path.with_name(f"seg-{path.name}"))
    with pytest.raises(DataError, match=r"images are called image0\.jpeg.*masks seg-image0\.png"):
        IMPORTERS["folder"](ImportRequest(folders))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="images holds no image file; it holds: nothing"):
        IMPORTERS["folder"](ImportRequest(tmp_path))
    with pytest.raises(DataError, match="is not Kvasir-SEG"):
        IMPORTERS["kvasir"](ImportRequest(tmp_path / "images"))


def test_partners_that_are_missing_come_along_unless_told_not_to(folders: Path, tmp_path: Path) -> None:
    (folders / "binary_mask" / "image5.png").unlink()
    request = ImportRequest(folders)
    whole = read_dataset(bring("folder", request, tmp_path / "data" / "whole"))
    assert [pair.name for pair in whole.pairs if pair.mask is None] == ["image5"]
    pairs = read_dataset(bring("folder", request, tmp_path / "data" / "pairs", pairs_only=True))
    assert len(pairs.pairs) == 19


def test_an_existing_domain_is_replaced_only_if_told_so(folders: Path, tmp_path: Path) -> None:
    request, target = ImportRequest(folders), tmp_path / "data" / "leaves"
    bring("folder", request, target)
    with pytest.raises(DataError, match="leaves exists already"):
        bring("folder", request, target)
    (target / "images" / "image0.jpeg").unlink()
    bring("folder", request, target, replace_existing=True)
    assert (target / "images" / "image0.jpeg").is_file()


def test_importing_a_larger_folder_again_moves_no_image(folders: Path, tmp_path: Path) -> None:
    request, target = ImportRequest(folders), tmp_path / "data" / "leaves"
    before = read_splits(bring("folder", request, target))
    for number in range(20, 60):
        save(folders / "original_images" / f"image{number}.jpeg")
        save(folders / "binary_mask" / f"image{number}.png", mask=True)
    after = read_splits(bring("folder", request, target, replace_existing=True))
    assert len(after) == 60
    assert {name: after[name] for name in before} == before
    other = read_splits(bring("folder", replace(request, seed=99), target, replace_existing=True))
    assert {name: other[name] for name in before} != before


def test_a_failed_import_leaves_the_domain_as_it_was(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, target = ImportRequest(folders), tmp_path / "data" / "leaves"
    bring("folder", request, target)
    before = sorted(path.relative_to(target) for path in target.rglob("*"))

    def full(*paths: Path) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match="No space"):
        bring("folder", request, target, replace_existing=True)
    assert sorted(path.relative_to(target) for path in target.rglob("*")) == before
    assert [path.name for path in target.parent.iterdir()] == ["leaves"]


def test_shares_that_leave_nothing_to_train_on_are_refused(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"validation 0\.5 and test 0\.5 leave none to train on"):
        bring("folder", ImportRequest(folders, validation=0.5, test=0.5), tmp_path / "data" / "leaves")


def test_an_unknown_layout_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="unknown dataset layout 'coco'; known: folder, kvasir"):
        IMPORTERS["coco"]


@pytest.mark.parametrize("layout", IMPORTERS)
def test_every_importer_refuses_a_folder_that_is_not_there(layout: str, tmp_path: Path) -> None:
    importer: Callable[[ImportRequest], object] = IMPORTERS[layout]
    with pytest.raises(DataError, match="nowhere"):
        importer(ImportRequest(tmp_path / "nowhere"))
