import pkgutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.curation.quarantine import quarantine, restore
from naslora_core.data.dataset.card import read_card, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.data.dataset.splits import read_groups, read_splits, write_splits
from naslora_core.data.importers import (
    IMPORTERS,
    ImportRequest,
    drawn,
    formats,
    import_dataset,
    labelled,
    missing_splits,
    published,
)
from naslora_core.data.importers.shared.class_options import parse_class_options
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


def import_layout(layout: str, request: ImportRequest, target: Path, **options: bool) -> Path:
    import_dataset(IMPORTERS[layout](request), request, target, **options)
    return target


def test_the_published_split_of_kvasir_is_kept_although_numbers_repeat(kvasir: Path, tmp_path: Path) -> None:
    dataset = read_dataset(import_layout("kvasir", ImportRequest(kvasir), tmp_path / "data" / "kvasir"))
    assert len(dataset.pairs) == 10
    assert {pair.name: pair.split for pair in dataset.pairs}["test_0"] == "test"
    assert [pair.name for pair in dataset.of_split("validation")] == ["validation_0"]
    assert (dataset.card.split.kind, dataset.card.split.train) == ("listed", 0.8)
    assert dataset.card.classes == ("polyp",)


def test_the_official_layout_of_kvasir_gets_a_drawn_split(kvasir: Path, tmp_path: Path) -> None:
    request = ImportRequest(kvasir / "train", seed=4)
    dataset = read_dataset(import_layout("kvasir", request, tmp_path / "data" / "kvasir"))
    assert dataset.card.split.kind == "random"
    assert [len(dataset.of_split(split)) for split in ("train", "validation", "test")] == [6, 1, 1]


def test_files_are_copied_byte_for_byte(kvasir: Path, tmp_path: Path) -> None:
    root = import_layout("kvasir", ImportRequest(kvasir), tmp_path / "data" / "kvasir")
    original = kvasir / "train" / "masks" / "3.jpg"
    assert (root / "masks" / "train_3.jpg").read_bytes() == original.read_bytes()


def test_folders_with_usual_names_are_found(folders: Path, tmp_path: Path) -> None:
    save(folders / "probabilistic_mask" / "image0.png", mask=True)
    dataset = read_dataset(import_layout("folder", ImportRequest(folders), tmp_path / "data" / "leaves"))
    assert [len(dataset.of_split(split)) for split in ("train", "validation", "test")] == [14, 3, 3]
    assert dataset.pairs[0].mask is not None
    assert dataset.card.mask_threshold == 128


def test_folders_with_unusual_names_are_given(folders: Path, tmp_path: Path) -> None:
    (folders / "original_images").rename(folders / "a")
    (folders / "binary_mask").rename(folders / "b")
    with pytest.raises(DataError, match="no images folder; it holds: a, b. Name it with --images"):
        IMPORTERS["folder"](ImportRequest(folders))
    request = ImportRequest(folders, images=folders / "a", masks=folders / "b", classes={"rust": ()})
    assert read_dataset(import_layout("folder", request, tmp_path / "data" / "x")).card.classes == ("rust",)


def test_masks_that_are_named_with_an_ending_are_paired(folders: Path, tmp_path: Path) -> None:
    for path in list((folders / "binary_mask").iterdir()):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    dataset = read_dataset(import_layout("folder", ImportRequest(folders), tmp_path / "data" / "leaves"))
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
    with pytest.raises(DataError, match=r"is not kvasir: expected images/ and masks/.*https://datasets.simula.no"):
        IMPORTERS["kvasir"](ImportRequest(tmp_path / "images"))


def test_partners_that_are_missing_come_along_unless_told_not_to(folders: Path, tmp_path: Path) -> None:
    (folders / "binary_mask" / "image5.png").unlink()
    request = ImportRequest(folders)
    whole = read_dataset(import_layout("folder", request, tmp_path / "data" / "whole"))
    assert [pair.name for pair in whole.pairs if pair.mask is None] == ["image5"]
    pairs = read_dataset(import_layout("folder", request, tmp_path / "data" / "pairs", pairs_only=True))
    assert len(pairs.pairs) == 19


def test_an_existing_domain_is_replaced_only_if_told_so(folders: Path, tmp_path: Path) -> None:
    request, target = ImportRequest(folders), tmp_path / "data" / "leaves"
    import_layout("folder", request, target)
    with pytest.raises(DataError, match="leaves exists already"):
        import_layout("folder", request, target)
    (target / "images" / "image0.jpeg").unlink()
    import_layout("folder", request, target, replace_existing=True)
    assert (target / "images" / "image0.jpeg").is_file()


def test_importing_a_larger_folder_again_moves_no_image(folders: Path, tmp_path: Path) -> None:
    request, target = ImportRequest(folders), tmp_path / "data" / "leaves"
    before = read_splits(import_layout("folder", request, target))
    for number in range(20, 60):
        save(folders / "original_images" / f"image{number}.jpeg")
        save(folders / "binary_mask" / f"image{number}.png", mask=True)
    after = read_splits(import_layout("folder", request, target, replace_existing=True))
    assert len(after) == 60
    assert {name: after[name] for name in before} == before
    other = read_splits(import_layout("folder", replace(request, seed=99), target, replace_existing=True))
    assert {name: other[name] for name in before} != before


def test_a_failed_import_leaves_the_domain_as_it_was(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, target = ImportRequest(folders), tmp_path / "data" / "leaves"
    import_layout("folder", request, target)
    before = sorted(path.relative_to(target) for path in target.rglob("*"))

    def full(*paths: Path) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match="No space"):
        import_layout("folder", request, target, replace_existing=True)
    assert sorted(path.relative_to(target) for path in target.rglob("*")) == before
    assert [path.name for path in target.parent.iterdir()] == ["leaves"]


def test_shares_that_leave_nothing_to_train_on_are_refused(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"validation 0\.5 and test 0\.5 leave none to train on"):
        import_layout("folder", ImportRequest(folders, validation=0.5, test=0.5), tmp_path / "data" / "leaves")


def test_an_unknown_layout_lists_the_known() -> None:
    with pytest.raises(
        ConfigError, match="unknown dataset layout 'lungs'; known: camo, .*clinicdb, coco, .*folder, .*isic2017"
    ):
        IMPORTERS["lungs"]


def test_each_file_of_a_folder_of_layouts_registers_one_and_no_other_file_does() -> None:
    files = {
        module.name
        for room in (published, formats, drawn, labelled)
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}.")
        if not module.ispkg
    }
    assert files
    assert {IMPORTERS[layout].find.__module__ for layout in IMPORTERS} == files


@pytest.mark.parametrize("layout", IMPORTERS)
def test_a_folder_that_is_not_there_is_refused_with_the_place_to_get_the_data(layout: str, tmp_path: Path) -> None:
    importer = IMPORTERS[layout]
    with pytest.raises(DataError, match="nowhere is not a folder") as refused:
        importer(ImportRequest(tmp_path / "nowhere"))
    assert importer.home in str(refused.value)


@pytest.mark.parametrize("layout", IMPORTERS)
def test_an_option_a_layout_cannot_use_is_refused(layout: str, tmp_path: Path) -> None:
    for option in {"images", "pairs", "tile_px"} - IMPORTERS[layout].options:
        with pytest.raises(ConfigError, match=f"is for the layout .*, not for {layout}"):
            IMPORTERS[layout](ImportRequest(tmp_path, **{option: 512 if option == "tile_px" else tmp_path}))


def test_files_that_are_the_same_share_a_group_and_so_a_split(folders: Path, tmp_path: Path) -> None:
    images = folders / "original_images"
    for number in range(1, 12):
        (images / f"image{number}.jpeg").write_bytes((images / "image0.jpeg").read_bytes())
    dataset = read_dataset(import_layout("folder", ImportRequest(folders), tmp_path / "data" / "leaves"))
    copies = [pair for pair in dataset.pairs if pair.group == "image0"]
    assert len(copies) == 12
    assert len({pair.split for pair in copies}) == 1


def test_a_missing_part_of_a_published_split_is_drawn_from_the_training_images(kvasir: Path, tmp_path: Path) -> None:
    found = IMPORTERS["kvasir"](ImportRequest(kvasir))
    for gone, count in ((("validation",), 1), (("validation", "test"), 2)):
        kept = replace(found, sources=tuple(s for s in found.sources if s.split not in gone))
        request = ImportRequest(kvasir, validation=0.125, test=0.125)
        dataset = import_dataset(kept, request, tmp_path / "data" / f"without{len(gone)}")
        assert missing_splits(kept.sources) == gone
        assert dataset.card.split.kind == "listed"
        assert len(dataset.of_split("train")) == 8 - count
        assert all(pair.name.startswith("train_") for split in gone for pair in dataset.of_split(split))
        assert len(dataset.of_split("test")) == 1


def test_drawn_validation_images_stay_when_a_published_dataset_grows(kvasir: Path, tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        for path in (kvasir / "validation" / kind).iterdir():
            path.unlink()
    target = tmp_path / "data" / "kvasir"
    before = read_splits(import_layout("kvasir", ImportRequest(kvasir, seed=2), target))
    for number in range(8, 40):
        save(kvasir / "train" / "images" / f"{number}.jpg")
        save(kvasir / "train" / "masks" / f"{number}.jpg", mask=True)
    after = read_splits(import_layout("kvasir", ImportRequest(kvasir), target, replace_existing=True))
    assert set(before.values()) == {"train", "validation", "test"}
    assert {name: after[name] for name in before} == before
    assert len(after) == 9 + 32


def test_groups_and_what_was_done_to_a_domain_survive_importing_again(folders: Path, tmp_path: Path) -> None:
    target = import_layout("folder", ImportRequest(folders, seed=5, validation=0.2), tmp_path / "data" / "leaves")
    splits = read_splits(target)
    write_splits(target, splits, dict.fromkeys(("image1", "image2"), "plant a"))
    write_card(
        target, read_card(target).model_copy(update={"accepted_copies": (("image3", "image4"), ("x", "image5"))})
    )
    quarantine(target, {"image7": "blurred"}, date(2024, 5, 1))
    save(folders / "original_images" / "new.jpeg")
    save(folders / "binary_mask" / "new.png", mask=True)
    import_layout("folder", ImportRequest(folders), target, replace_existing=True)
    assert read_groups(target) == {"image1": "plant a", "image2": "plant a"}
    card = read_card(target)
    assert (card.split.seed, card.split.validation, card.split.test) == (5, 0.2, 0.15)
    assert card.accepted_copies == (("image3", "image4"),)
    assert {name: split for name, split in read_splits(target).items() if name != "new"} == {
        name: split for name, split in splits.items() if name != "image7"
    }
    restore(target)
    assert {pair.name: pair.split for pair in read_dataset(target).pairs}["image7"] == splits["image7"]


def test_several_classes_are_read_by_value_or_colour(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / "in/images" / f"{number}.png")
        save(tmp_path / "in/masks" / f"{number}.png", mask=True, values=(255, 3))
    classes = parse_class_options(["crop=1", "weed=2,3", "background=255"])
    dataset = read_dataset(
        import_layout("folder", ImportRequest(tmp_path / "in", classes=classes), tmp_path / "data" / "x")
    )
    assert dataset.card.classes == ("crop", "weed")
    assert dataset.pairs[0].mask is not None
    ids = read_class_ids(dataset.pairs[0].mask, dataset.card)
    assert (ids[10, 15], ids[0, 0]) == (2, 0)


def test_masks_whose_values_nobody_explained_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "a.png", mask=True, values=(2, 3))
    with pytest.raises(DataError, match=r"no pixel is 0 or black.*Say what they mean: .*--class a=2 --class b=3"):
        IMPORTERS["folder"](ImportRequest(tmp_path))
    assert IMPORTERS["folder"](ImportRequest(tmp_path, threshold=1)).mask_threshold == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a=1", "a=2"], "given twice"),
        (["=1"], "give it a name"),
        (["a=red"], "give numbers or colours"),
        (["a=1,#ff0000"], "give numbers or colours"),
        (["a="], "give numbers or colours"),
    ],
)
def test_a_class_that_cannot_be_read_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_class_options(options)
    assert parse_class_options(["sky=#00A0FF", "road = 1 , 2"]) == {"sky": ("#00a0ff",), "road": (1, 2)}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"classes": {"a": (), "b": (2,)}}, "--class a needs the value"),
        ({"classes": {"a": (1,)}, "threshold": 3}, "give one of them"),
    ],
)
def test_classes_that_contradict_each_other_are_refused(folders: Path, request_: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IMPORTERS["folder"](ImportRequest(folders, **request_))


def test_the_only_class_of_a_layout_can_be_renamed_and_others_cannot(kvasir: Path) -> None:
    assert IMPORTERS["kvasir"](ImportRequest(kvasir, classes={"adenoma": ()})).classes == ("adenoma",)
    for wrong in ({"a": (), "b": ()}, {"a": (1,)}):
        with pytest.raises(ConfigError, match="--class does not fit: the data has its own classes, polyp"):
            IMPORTERS["kvasir"](ImportRequest(kvasir, classes=wrong))
    assert IMPORTERS["kvasir"](ImportRequest(kvasir, threshold=90)).mask_threshold == 90


def test_pairs_are_taken_from_a_list_with_split_and_group(folders: Path, tmp_path: Path) -> None:
    lines = ["image,label,split,group"]
    for number, split in enumerate(("train", "train", "Val", "test")):
        lines.append(f"original_images/image{number}.jpeg,binary_mask/image{9 - number}.png,{split},plant{number // 2}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    request = ImportRequest(folders, pairs=tmp_path / "pairs.csv")
    dataset = read_dataset(import_layout("folder", request, tmp_path / "data" / "x"))
    assert {pair.name: (pair.split, pair.group) for pair in dataset.pairs} == {
        "image0": ("train", "plant0"), "image1": ("train", "plant0"), "image2": ("validation", "plant1"),
        "image3": ("test", "plant1"),
    }  # fmt: skip
    original = folders / "binary_mask" / "image9.png"
    assert (dataset.root / "masks" / "image0.png").read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,mask\na,b", "begins with picture,mask; expected image,mask"),
        ("image,mask,colour\na,b,c", "begins with image,mask,colour"),
        ("image,mask\n", "lists no pair"),
        ("image,mask\noriginal_images/image0.jpeg,gone.png", r"line 2: .*gone\.png is not there"),
        ("image,mask,split\noriginal_images/image0.jpeg,,dev", "line 2: 'dev' is not a split"),
    ],
)
def test_a_list_of_pairs_that_is_wrong_is_refused(folders: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        IMPORTERS["folder"](ImportRequest(folders, pairs=tmp_path / "pairs.csv"))


def test_names_that_repeat_in_a_list_get_those_of_their_folders(tmp_path: Path) -> None:
    lines = ["image,mask"]
    for folder in "ab":
        save(tmp_path / folder / "0.png")
        save(tmp_path / folder / "0_mask.png", mask=True)
        lines.append(f"{folder}/0.png,{folder}/0_mask.png")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    found = IMPORTERS["folder"](ImportRequest(tmp_path, pairs=tmp_path / "pairs.csv"))
    assert [source.name for source in found.sources] == ["a_0", "b_0"]
