from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import read_card, write_card
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.data.dataset.image_files.images import read_image
from naslora_core.data.dataset.image_files.pixels import read_mask
from naslora_core.errors import DataError

Write = Callable[..., Path]


def test_pairs_are_found_by_name_whatever_their_extensions(write_dataset: Write) -> None:
    dataset = read_dataset(write_dataset(15))
    assert [pair.name for pair in dataset.pairs] == [f"disc_{index:02d}" for index in range(15)]
    first = dataset.pairs[0]
    assert (dataset.relative(first.image), dataset.relative(first.mask)) == (
        "images/disc_00.jpg",
        "masks/disc_00.png",
    )
    assert {split: len(dataset.of_split(split)) for split in ("train", "validation", "test")} == {
        "train": 9,
        "validation": 3,
        "test": 3,
    }


def test_a_missing_partner_is_none(write_dataset: Write) -> None:
    root = write_dataset(15)
    (root / "masks" / "disc_02.png").unlink()
    (root / "images" / "disc_05.jpg").unlink()
    pairs = {pair.name: pair for pair in read_dataset(root).pairs}
    assert pairs["disc_02"].mask is None
    assert pairs["disc_02"].image is not None
    assert pairs["disc_05"].image is None


def test_hidden_and_other_files_are_no_images(write_dataset: Write) -> None:
    root = write_dataset(15)
    (root / "images" / ".DS_Store").write_bytes(b"x")
    (root / "images" / "._disc_00.jpg").write_bytes(b"x")
    (root / "images" / "notes.txt").write_text("x")
    (root / "images" / ".thumbnails").mkdir()
    assert len(read_dataset(root).pairs) == 15


def test_two_files_of_one_name_are_refused(write_dataset: Write) -> None:
    root = write_dataset(15)
    (root / "images" / "disc_00.png").write_bytes((root / "masks" / "disc_00.png").read_bytes())
    with pytest.raises(DataError, match=r"both disc_00\.jpg and disc_00\.png"):
        read_dataset(root)


def test_a_folder_without_images_is_refused(write_dataset: Write) -> None:
    root = write_dataset(3)
    for path in (root / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="images holds no image"):
        read_dataset(root)


def test_a_folder_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.yaml not found; make a dataset with"):
        read_dataset(tmp_path)


def test_a_card_survives_writing_and_reading(write_dataset: Write, tmp_path: Path) -> None:
    card = read_card(write_dataset(3)).model_copy(update={"citation": 'A: b, "c" # d — é, ' + "long " * 60})
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("mask_threshold: 128", "mask_treshold: 128", "unknown field 'mask_treshold'"),
        ("mask_threshold: 128", "mask_threshold: 300", "mask_threshold"),
        ("- disc\n", "- disc\n- square\n", "2 classes can only be told apart by mask_values"),
        ("train: 0.6", "train: 0.9", "train . validation . test must be 1, found 1.3"),
        ("kind: random", "kind: listd", "split.kind"),
        ("name: discs", "name: [", "not valid YAML"),
    ],
)
def test_a_wrong_card_is_refused_with_its_field(write_dataset: Write, before: str, after: str, message: str) -> None:
    card = write_dataset(3) / "dataset.yaml"
    text = card.read_text(encoding="utf-8")
    assert before in text
    card.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_card(card.parent)


def test_an_image_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: show it rotated by 90 degrees to the right
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    image = read_image(tmp_path / "turned.png")
    assert image.shape == (30, 20, 3)
    assert image[:10].min() == 255
    assert image[10:].max() == 0


def test_a_truncated_jpeg_is_refused_by_name(write_dataset: Write) -> None:
    path = write_dataset(3) / "images" / "disc_01.jpg"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match=r"disc_01\.jpg cannot be read: image file is truncated"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_a_file_that_is_no_image_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "page.png").write_bytes(content)
    with pytest.raises(DataError, match=r"page\.png cannot be read"):
        read_image(tmp_path / "page.png")


def test_an_image_of_sixteen_bits_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="1 band of 16 bits; say in dataset.yaml which bands"):
        read_image(tmp_path / "deep.png")


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P"])
def test_a_mask_is_read_alike_in_every_colour_mode(tmp_path: Path, mode: str) -> None:
    expected = np.zeros((12, 12), np.uint8)
    expected[3:9, 2:5] = 1
    Image.fromarray(expected * 255).convert(mode).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 128), expected)


def test_a_mask_painted_in_blue_is_read(tmp_path: Path) -> None:
    pixels = np.zeros((12, 12, 3), np.uint8)
    pixels[3:9, 2:5, 2] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", 128).sum() == 18


def test_the_threshold_itself_is_foreground(tmp_path: Path) -> None:
    Image.fromarray(np.array([[127, 128, 129]], np.uint8)).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", 128).tolist() == [[0, 1, 1]]


def test_the_fingerprint_changes_with_pixels_splits_and_card_only(write_dataset: Write) -> None:
    root = write_dataset(15)
    before = fingerprint(read_dataset(root))
    (root / "images" / "notes.txt").write_text("x")
    assert fingerprint(read_dataset(root)) == before
    seen = {before}
    for file in ("dataset.yaml", "splits.csv", "masks/disc_00.png"):
        original = (root / file).read_bytes()
        changed = original.replace(b"0.6", b"0.5").replace(b"validation: 0.2", b"validation: 0.3")
        changed = changed.replace(b"disc_00,train", b"disc_00,test").replace(b"disc_00,test", b"disc_00,validation")
        (root / file).write_bytes(changed if changed != original else original + b"\0")
        seen.add(fingerprint(read_dataset(root)))
        (root / file).write_bytes(original)
    assert len(seen) == 4
