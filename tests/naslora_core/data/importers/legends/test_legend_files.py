"""Legends that annotation tools write beside masks, and those of well-known data sets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.importers import IMPORTERS, ImportRequest
from naslora_core.data.importers.legends import known
from naslora_core.data.importers.legends.files import READERS
from naslora_core.data.importers.legends.legend import NOT_LABELLED
from naslora_core.data.importers.recognise import recognise
from naslora_core.errors import ConfigError, DataError
from tests.naslora_core.data.importers.reading.drawn import (
    VOC,
    assert_equal,
    colours,
    drawn,
    grey,
    import_,
    palette,
    write,
)

Store = Callable[[np.ndarray, Path], object]
CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nleaf:48,112,32::\nstem:128,0,0::\n"
LEAF_AND_STEM = {1: 0x307020, 2: 0x800000}


def ids(masks: list[np.ndarray]) -> list[np.ndarray]:
    return [np.where(m == 255, IGNORED_ID, m) for m in masks]


@pytest.mark.parametrize(
    ("file", "text", "store"),
    [
        ("labelmap.txt", CVAT, palette(LEAF_AND_STEM)),
        ("labelmap.txt", CVAT, colours(LEAF_AND_STEM)),
        ("labelmap.txt", CVAT.replace("\n", "\r\n"), palette({5: 0x307020} | LEAF_AND_STEM)),
        ("label_colors.txt", "48 112 32\tleaf\n128 0 0\tstem\n", colours(LEAF_AND_STEM)),
        ("class_dict.csv", "name,r,g,b\nleaf,48,112,32\nstem, 128, 0, 0\n", colours(LEAF_AND_STEM)),
        ("class_names.txt", "_background_\nleaf\nstem", palette(VOC)),
        ("class_names.txt", "_background_\nleaf\nstem", grey),
        ("labels.txt", "__ignore__\n_background_\nleaf\nstem\n", grey),
        ("_classes.csv", "Pixel Value, Class\n0, background\n1, leaf\n2, stem\n", grey),
        ("classes.txt", "leaf\nstem\n", grey),
        ("classes.txt", "background\nleaf\nstem\n", grey),
        ("classes.txt", "1: leaf\n2: stem\n", grey),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_a_legend_names_the_classes(file: str, text: str, store: Store, beside: bool, tmp_path: Path) -> None:
    masks = drawn(1, 2)
    root = write(tmp_path / "in", masks, store)
    (root / ("masks" if beside else ".") / file).write_text(text, encoding="utf-8")
    dataset = import_(root)
    assert dataset.card.classes == ("leaf", "stem")
    assert_equal(dataset, masks)


def test_a_void_border_is_not_labelled_whatever_the_legend_says_of_classes(tmp_path: Path) -> None:
    masks = drawn(1, 2, ring=255)
    root = write(tmp_path / "in", masks, palette(VOC))
    (root / "class_names.txt").write_text("_background_\nleaf\nstem", encoding="utf-8")
    dataset = import_(root)
    assert (dataset.card.classes, dataset.card.mask_ignore) == (("leaf", "stem"), (255,))
    assert_equal(dataset, ids(masks))


def test_classes_of_a_legend_can_be_chosen(tmp_path: Path) -> None:
    masks = drawn(1, 2)
    root = write(tmp_path / "in", masks, grey)
    (root / "classes.txt").write_text("leaf\nstem\n", encoding="utf-8")
    dataset = import_(root, classes={"stem": ()})
    assert dataset.card.classes == ("stem",)
    assert_equal(dataset, [m == 2 for m in masks])
    with pytest.raises(ConfigError, match="--class root is not in the legend, which has leaf, stem"):
        IMPORTERS["folder"](ImportRequest(root, classes={"root": (), "stem": ()}))


def test_a_list_that_may_count_from_0_or_1_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "in", drawn(1, 2), grey)
    (root / "classes.txt").write_text("leaf\nstem\nroot\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"classes.txt explains only some of them. Say what they mean: --reading"):
        IMPORTERS["folder"](ImportRequest(root))


def test_a_value_that_the_legend_does_not_know_is_shown(tmp_path: Path) -> None:
    root = write(tmp_path / "in", drawn(1, 7), grey)
    (root / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, leaf\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"7 \(5.21 % of the pixels, 4 images.*_classes.csv explains only some"):
        IMPORTERS["folder"](ImportRequest(root))


def test_a_legend_of_one_class_names_the_object(tmp_path: Path) -> None:
    root = write(tmp_path / "in", drawn(255), grey)
    (root / "labelmap.txt").write_text("background:0,0,0::\ncrack:255,0,0::\n", encoding="utf-8")
    assert import_(root).card.classes == ("crack",)


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("labelmap.txt", "leaf\n", "line 1: 'leaf' is no line of a label map"),
        ("labelmap.txt", "leaf:300,0,0::\n", "'300,0,0' is no colour"),
        ("label_colors.txt", "1 2\n", "is no colour with a name"),
        ("class_dict.csv", "a,b\n1,2\n", "begins with a,b; expected the columns name, r, g, b"),
        ("class_dict.csv", "name,r,g,b\nleaf,1\n", "has 2 columns, its header has 4"),
        ("_classes.csv", "Pixel Value, Class\none, leaf\n", "'one' is no pixel value"),
        ("labelmap.txt", "leaf:0,0,0::\n", "'leaf' is black, as the background"),
        ("labelmap.txt", "leaf:1,2,3::\nstem:1,2,3::\n", "the label 'stem' or its colour #010203 is there twice"),
        ("labelmap.txt", "leaf:1,2,3::\nleaf:1,2,4::\n", "line 2: the label 'leaf'"),
        ("labelmap.txt", "leaf:1,2,3::\nstem:::\n", "'stem' has no colour, but others have"),
        ("_classes.csv", "Pixel Value, Class\n1, leaf\n1, stem\n", "the value 1 is there twice"),
        ("_classes.csv", "Pixel Value, Class\n1,\n", "the value 1 has no name"),
        ("classes.txt", "leaf\nstem\nleaf\n", "has 3 names of classes; expected up to 254, each once"),
        ("_classes.csv", "", "expected the columns pixel value, class"),
    ],
)
def test_a_legend_that_is_wrong_is_refused_with_its_line(file: str, text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as refused:
        READERS[file](tmp_path / file)
    assert problem in str(refused.value)
    assert file in str(refused.value)


def test_a_legend_is_text_of_modest_length(tmp_path: Path) -> None:
    for content in (b"\xff\xfe\x00", b"x" * (2 << 20)):
        (tmp_path / "classes.txt").write_bytes(content)
        with pytest.raises(DataError, match="classes.txt"):
            READERS["classes.txt"](tmp_path / "classes.txt")


def test_the_palette_of_voc() -> None:
    # As the development kit's readme lists them.
    expected = {0: 0, 1: 0x800000, 2: 0x008000, 8: 0x400000, 15: 0xC08080, 20: 0x004080, 255: 0xE0E0C0}
    assert {number: known.voc_colour(number) for number in expected} == expected
    assert len(known.voc().names) == 20


def test_cityscapes_is_known_by_its_names(tmp_path: Path) -> None:
    assert known.cityscapes_ids().by_value[7] == "road"
    assert known.cityscapes_ids().by_value[9] == NOT_LABELLED
    assert len(known.cityscapes_train_ids().names) == len(known.cityscapes_colours().names) == 19
    masks = [np.where(m == 0, 0, m) for m in drawn(13, 255)]

    def store(mask: np.ndarray, path: Path) -> None:
        grey(mask, path.with_name(f"{path.stem}_gtFine_labelTrainIds.png"))

    root = write(tmp_path / "in", masks, store)
    for image in (root / "images").iterdir():
        image.rename(image.with_name(f"{image.stem}_gtFine_labelTrainIds{image.suffix}"))
    dataset = import_(root)
    assert dataset.card.classes == ("road", "car")
    assert_equal(dataset, [np.select([m == 13, m == 255], [2, IGNORED_ID], 1) for m in masks])


def test_camvid_is_known_by_its_colours_and_black_is_void(tmp_path: Path) -> None:
    legend = known.camvid()
    assert (len(legend.names), legend.by_colour[0]) == (31, NOT_LABELLED)
    masks = drawn(1, 2, 3)
    dataset = import_(write(tmp_path / "in", masks, colours({1: 0x804080, 2: 0x0000C0, 3: 0x400080})))
    assert dataset.card.classes == ("Car", "Road", "Sidewalk")
    order = np.array([IGNORED_ID, 2, 3, 1])
    assert_equal(dataset, [order[m] for m in masks])


def test_two_colours_are_an_accident(tmp_path: Path) -> None:
    root = write(tmp_path / "in", drawn(1, 2), colours({1: 0x804080, 2: 0x0000C0}))
    with pytest.raises(DataError, match="several readings fit"):
        IMPORTERS["folder"](ImportRequest(root))


def test_a_dataset_of_ours_comes_in_again_unchanged(tmp_path: Path) -> None:
    masks = drawn(8, 15, ring=255)
    first = import_(write(tmp_path / "in", masks, palette(VOC)))
    (tmp_path / "copy").mkdir()
    root = first.root.rename(tmp_path / "copy" / "made")
    again = import_(root)
    assert again.card.model_dump(exclude={"name", "split"}) == first.card.model_dump(exclude={"name", "split"})
    assert [(p.name, p.split, p.group) for p in again.pairs] == [(p.name, p.split, p.group) for p in first.pairs]
    assert_equal(again, [np.select([m == 8, m == 15, m == 255], [1, 2, IGNORED_ID]) for m in masks])


def test_a_dataset_of_ours_with_other_values_is_refused(tmp_path: Path) -> None:
    first = import_(write(tmp_path / "in", drawn(8, ring=255), palette(VOC)))
    palette(VOC)(drawn(9)[0], first.root / "masks" / "i0.png")
    with pytest.raises(DataError, match=r"does not know some of their values.*9 \("):
        IMPORTERS["folder"](ImportRequest(first.root))


@pytest.mark.parametrize(
    ("files", "store", "values", "said"),
    [
        ({"classes.txt": "cat\ndog\n", "labels.txt": "dog\ncat\n"}, grey, (1, 2),
         "1 is cat in classes.txt, and dog in labels.txt"),
        ({"_classes.csv": "Pixel Value, Class\n1, dog\n2, cat\n", "class_names.txt": "_background_\ncat\ndog\n"}, grey,
         (1, 2), "1 is dog in _classes.csv, and cat in class_names.txt"),
        ({"labelmap.txt": CVAT, "class_dict.csv": "name,r,g,b\nstem,48,112,32\nleaf,128,0,0\n"}, colours(LEAF_AND_STEM),
         (1, 2), "#307020 is leaf in labelmap.txt, and stem in class_dict.csv"),
    ],
)  # fmt: skip
def test_legends_that_contradict_each_other_are_refused(
    tmp_path: Path, files: dict[str, str], store: Store, values: tuple[int, ...], said: str
) -> None:
    root = write(tmp_path / "in", drawn(*values), store)
    for name, text in files.items():
        (root / name).write_text(text)
    with pytest.raises(DataError, match=f"{said}; remove or rename the wrong one, or say"):
        IMPORTERS["folder"](ImportRequest(root))


def test_legends_that_agree_are_one(tmp_path: Path) -> None:
    root = write(tmp_path / "in", masks := drawn(1, 2), grey)
    (root / "classes.txt").write_text("Cat\ndog\n")
    (root / "labels.txt").write_text("0: background\n1: cat\n2: dog\n3: cow\n")
    dataset = import_(root)
    assert dataset.card.classes == ("Cat", "dog")
    assert_equal(dataset, ids(masks))


@pytest.mark.parametrize(
    ("file", "text", "store", "said"),
    [
        (
            "labelmap.txt",
            CVAT.replace("128,0,0", "48,112,32"),
            colours(LEAF_AND_STEM),
            "its colour #307020 is there twice",
        ),
        ("classes.txt", "1 leaf\n1 stem\n2 root\n", grey, "gives a number to two names"),
        ("_classes.csv", "Pixel Value, Class\n1, leaf\n2, stem\n2, root\n", grey, "the value 2 is there twice"),
    ],
)
def test_a_value_that_a_legend_gives_to_two_classes_is_refused(
    tmp_path: Path, file: str, text: str, store: Store, said: str
) -> None:
    root = write(tmp_path / "in", drawn(1, 2), store)
    (root / file).write_text(text)
    with pytest.raises(DataError, match=f"{file}.* {said}"):
        IMPORTERS["folder"](ImportRequest(root))


def test_case_of_a_legend_does_not_matter_and_roboflows_file_is_one_beside_plain_folders(tmp_path: Path) -> None:
    for number, (file, text, store) in enumerate(
        [
            ("LabelMap.TXT", CVAT, colours(LEAF_AND_STEM)),
            ("_Classes.csv", "Pixel Value, Class\n1, leaf\n2, stem\n", grey),
        ]
    ):
        root = write(tmp_path / str(number) / "in", masks := drawn(1, 2), store)
        (root / file).write_text(text)
        assert recognise(root).name == "folder"
        dataset = import_(root)
        assert dataset.card.classes == ("leaf", "stem")
        assert_equal(dataset, ids(masks))
