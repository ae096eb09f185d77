"""The gate sees what training sees: the classes of each split, and what is left of them at the model's input size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import write_card
from naslora_core.data.dataset.dataset import Dataset, read_dataset
from naslora_core.data.dataset.splits import write_splits
from naslora_core.data.preprocess.decode import decode_pair
from naslora_core.quality.gate import check_dataset
from naslora_core.quality.measure import measure_pairs
from naslora_core.quality.measure_file import measure_mask
from tests.naslora_core.quality.corpus import SIZE, draw, save
from tests.naslora_core.quality.flawless import CARD, QUALITY, write_pairs

TWO = CARD.model_copy(
    update={"classes": ("crop", "weed"), "mask_threshold": None, "mask_values": {"crop": (1,), "weed": (2,)}}
)
NAMES = [f"pair_{index:02d}" for index in range(12)]
SPLIT = {name: ("train", "validation", "test")[place % 3] for place, name in enumerate(NAMES)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    write_pairs(root, NAMES)
    return root


def mask(crop: bool = True, weed: bool = True) -> np.ndarray:
    """Return (H, W) uint8, a square of 1 and one of 2."""
    ids = np.zeros(SIZE, np.uint8)
    ids[5:25, 5:25] = crop
    ids[30:50, 30:60] = 2 * weed
    return ids


def two_classes(root: Path, weed: Callable[[str], bool], crop: Callable[[str], bool] = lambda split: True) -> None:
    write_card(root, TWO)
    for name, split in SPLIT.items():
        save(root / f"masks/{name}.png", mask(crop(split), weed(split)))


def found(root: Path, input_px: int | None = None) -> dict[str, tuple[str, str]]:
    verdict, _ = check_dataset(root, QUALITY, input_px=input_px)
    assert verdict.expectations_run == verdict.expectations_expected
    assert verdict.passed == (not verdict.of_severity("critical"))
    return {failure.expectation: (failure.severity, failure.observed) for failure in verdict.failures}


def test_a_class_that_only_another_split_has_is_named(root: Path) -> None:
    two_classes(root, weed=lambda split: split == "train")
    assert found(root) == {
        "enough_weed": ("warning", "found in 4"),
        "classes_tested": ("warning", "validation lacks weed; test lacks weed"),
    }
    two_classes(root, weed=lambda split: split != "train", crop=lambda split: split != "test")
    assert found(root) == {
        "classes_trained": ("critical", "train lacks weed"),
        "classes_tested": ("warning", "test lacks crop"),
    }
    two_classes(root, weed=lambda split: False)
    assert found(root) == {"enough_weed": ("warning", "found in 0")}, "that no split has it says another check"


def test_one_class_that_the_test_images_lack_is_named(root: Path) -> None:
    for name in NAMES[2::3]:
        save(root / f"masks/{name}.png", np.zeros(SIZE, np.uint8))
    assert found(root) == {"classes_tested": ("warning", "test lacks disc")}


def scattered(step: int, side: int = 1) -> np.ndarray:
    """Return (H, W) uint8, squares of 255 at a distance of `step` pixels."""
    marked = np.zeros(SIZE, np.uint8)
    for row in range(side):
        for column in range(side):
            marked[row::step, column::step] = 255
    return marked


@pytest.mark.parametrize("input_px", [16, 33, 40, 64, 79, 80, 200])
def test_an_object_is_gone_if_preprocess_leaves_no_pixel_of_it(root: Path, input_px: int) -> None:
    drawn = scattered(5, 2)
    drawn[3:, 77:] = 0
    save(root / "masks/pair_00.png", drawn)
    dataset = read_dataset(root)
    measured = measure_mask(root / "masks/pair_00.png", CARD, input_px)
    assert measured["objects_disc"] == 13 * 16
    assert measured["objects_disc"] - measured["vanished_disc"] == len(survivors(dataset, input_px))


def survivors(dataset: Dataset, input_px: int) -> set[tuple[int, int]]:
    """Return which objects of pair_00 have a pixel left after preprocess, each marked alone."""
    path = dataset.root / "masks/pair_00.png"
    whole = np.asarray(Image.open(path))
    left = set()
    for row in range(0, SIZE[0], 5):
        for column in range(0, SIZE[1], 5):
            alone = np.zeros_like(whole)
            alone[row : row + 2, column : column + 2] = whole[row : row + 2, column : column + 2]
            save(path, alone)
            if decode_pair(dataset.pairs[0], dataset.card, input_px).mask.any():
                left.add((row, column))
    save(path, whole)
    return left


def test_objects_that_vanish_are_counted_and_a_class_that_vanishes_from_a_split_is_critical(root: Path) -> None:
    for name in NAMES[2::3]:
        specks = np.zeros(SIZE, np.uint8)
        specks[1::10, 1::10] = 255
        save(root / f"masks/{name}.png", specks)
    assert found(root) == {}
    assert found(root, input_px=80) == {}
    assert found(root, input_px=16) == {
        "classes_kept": ("critical", "test loses all objects of disc"),
        "objects_kept": (
            "warning",
            "224 of 232 objects of 'disc' (97%), in masks/pair_02.png, masks/pair_05.png, masks/pair_08.png, "
            "masks/pair_11.png",
        ),
    }
    verdict, _ = check_dataset(root, QUALITY, input_px=16)
    assert "input size of 16 pixels (model.image_size)" in verdict.message()


def test_pixels_nobody_labelled_are_no_object(root: Path) -> None:
    card = CARD.model_copy(update={"mask_threshold": None, "mask_values": {"disc": (1,)}, "mask_ignore": (255,)})
    ids = np.full(SIZE, 255, np.uint8)
    save(root / "masks/pair_00.png", ids)
    nothing = measure_mask(root / "masks/pair_00.png", card, 16)
    assert not any(nothing.get(column) for column in ("objects_disc", "vanished_disc", "covers_image"))
    ids[:9] = 1
    save(root / "masks/pair_00.png", ids)
    assert measure_mask(root / "masks/pair_00.png", card, 16)["covers_image"] == 1.0, "all that is labelled is disc"
    ids[0] = 0
    save(root / "masks/pair_00.png", ids)
    assert measure_mask(root / "masks/pair_00.png", card, 16)["covers_image"] == 0.0


def test_masks_that_cover_whole_images_are_told_and_critical_if_all_do(root: Path) -> None:
    for name in NAMES[:3]:
        save(root / f"masks/{name}.png", np.full(SIZE, 255, np.uint8))
    seen = found(root)
    assert seen["no_full_masks"] == (
        "warning", "3 of 12 masks do (25%): masks/pair_00.png, masks/pair_01.png, masks/pair_02.png",
    )  # fmt: skip
    assert "masks_mark_parts" not in seen
    for name in NAMES:
        save(root / f"masks/{name}.png", np.full(SIZE, 255 if name != "pair_07" else 0, np.uint8))
    seen = found(root)
    assert seen["masks_mark_parts"][0] == "critical"
    assert seen["masks_mark_parts"][1].startswith("11 of 12 masks do (92%): masks/pair_00.png, ")
    assert seen["masks_mark_parts"][1].endswith("masks/pair_04.png, …")
    assert "no_full_masks" not in seen


def test_a_mask_of_several_classes_without_background_covers_nothing(root: Path) -> None:
    write_card(root, TWO)
    for name in NAMES:
        save(root / f"masks/{name}.png", np.where(np.arange(80) < 40, 1, 2)[None].repeat(64, 0).astype(np.uint8))
    assert not {"masks_mark_parts", "no_full_masks"} & found(root).keys()


def place(at: tuple[int, int], radius: float = 6) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return (np.hypot(y - at[0], x - at[1]) < radius).astype(np.uint8) * 255


def scene(root: Path, name: str, at: tuple[int, int]) -> None:
    """Write a picture of a scene that is the same in each, but for a faint disc and the noise of the camera."""
    noise = np.random.default_rng(int(name[-2:])).integers(-1, 2, (*SIZE, 3))
    pixels = draw(1).astype(int) + noise + 8 * (place(at)[..., None] > 0)
    save(root / f"images/{name}.png", np.clip(pixels, 0, 255).astype(np.uint8))
    save(root / f"masks/{name}.png", place(at))


def test_pictures_of_a_fixed_camera_are_copies_only_if_their_masks_agree(root: Path) -> None:
    for number, name in enumerate(NAMES):
        scene(root, name, (10 + 14 * (number % 4), 12 + 26 * (number // 4)))
    assert found(root) == {}, "twelve places of the disc"
    scene(root, "pair_01", (11, 12))  # That of pair_00 is (10, 12).
    verdict, table = check_dataset(root, QUALITY)
    assert [(f.expectation, [file.file for file in f.files]) for f in verdict.failures] == [
        ("no_leak", ["images/pair_00.png", "images/pair_01.png"])
    ]
    assert list(table["copy_in_other_split"])[:3] == ["pair_01 (validation)", "pair_00 (train)", ""]


def test_the_same_file_is_a_copy_whatever_its_masks_are(root: Path) -> None:
    (root / "images/pair_01.png").write_bytes((root / "images/pair_00.png").read_bytes())
    save(root / "masks/pair_01.png", place((60, 70)))
    assert found(root) == {"no_leak": ("critical", "")}


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"broken")])
def test_without_a_mask_the_images_alone_decide(root: Path, spoil: Callable[[Path], None]) -> None:
    scene(root, "pair_00", (10, 12))
    scene(root, "pair_01", (50, 60))
    assert found(root) == {}
    spoil(root / "masks/pair_01.png")
    assert found(root)["no_leak"] == ("critical", "")


def test_another_class_at_the_same_place_is_another_mask(root: Path) -> None:
    two_classes(root, weed=lambda split: True)
    for name, ids in (("pair_00", mask(True, False)), ("pair_01", mask(True, False) * 2)):
        save(root / f"images/{name}.png", draw(3))
        save(root / f"masks/{name}.png", ids)
    content = bytearray((root / "images/pair_01.png").read_bytes())
    Image.open(root / "images/pair_01.png").save(root / "images/pair_01.png", compress_level=1)
    assert (root / "images/pair_01.png").read_bytes() != content
    assert "no_leak" not in found(root)


@pytest.mark.parametrize(
    ("splits", "groups", "reason"),
    [
        (
            dict.fromkeys(NAMES, "train"),
            dict.fromkeys(NAMES, "patient"),
            "empty: validation, test; the 12 pairs make 1 group, three splits need three: 12 of 12 are one group "
            "(pair_00, pair_01, pair_02, …), as images of one patient or copies of one image are, and a group is "
            "never divided",
        ),
        (
            {name: "test" if name == "pair_11" else "train" for name in NAMES},
            {name: "a" for name in NAMES[:11]},
            "empty: validation; the 12 pairs make 2 groups, three splits need three: 11 of 12 are one group (pair_00, "
            "pair_01, pair_02, …), as images of one patient or copies of one image are, and a group is never divided",
        ),
        (
            dict.fromkeys(NAMES, "train"),
            {},
            "empty: validation, test; no pair was given to them, though there are 12 groups; naslora data split draws "
            "anew",
        ),
    ],
)
def test_an_empty_split_says_why_it_is_empty(
    root: Path, splits: dict[str, str], groups: dict[str, str], reason: str
) -> None:
    write_splits(root, splits, groups)
    assert found(root) == {"split_present": ("critical", reason)}


def test_the_size_decides_what_is_measured_and_nothing_else(root: Path) -> None:
    first, second = (measure_pairs(read_dataset(root), input_px=side) for side in (None, 1024))
    assert first["vanished_disc"].isna().all()
    assert list(second["vanished_disc"]) == [0] * 12
    changed = [name for name in first if not first[name].equals(second[name])]
    assert changed == ["vanished_disc"]
