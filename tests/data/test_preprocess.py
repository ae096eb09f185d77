import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset import fingerprint, read_dataset, read_image, read_mask
from naslora_core.data.preprocess import PADDING_RGB, load_prepared, preprocess, resized_shape
from naslora_core.errors import DataError

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(40, 56, (46, 64)), (56, 40, (64, 46)), (1280, 960, (64, 48)), (64, 64, (64, 64)), (5000, 3, (64, 1))],
)
def test_the_longer_side_becomes_the_image_size(height: int, width: int, expected: tuple[int, int]) -> None:
    assert resized_shape(height, width, 64) == expected


def test_every_pair_is_resized_and_padded_on_the_right_and_below(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(15)
    preprocess(read_dataset(root), 64, tmp_path / "out")
    data = load_prepared(tmp_path / "out", "test")
    assert data.images.shape == (3, 64, 64, 3)
    assert data.masks.shape == (3, 64, 64)
    assert data.images.dtype == data.masks.dtype == np.uint8
    assert data.input_sizes == [(46, 64)] * 3
    assert data.original_sizes == [(40, 56)] * 3
    assert (data.images[:, 46:] == PADDING_RGB).all()
    assert not data.masks[:, 46:].any()
    assert data.images[:, :46].max() > 100
    for name, image, mask in zip(data.names, data.images, data.masks, strict=True):
        expected = np.asarray(Image.fromarray(read_image(root / f"images/{name}.jpg")).resize((64, 46), 2))
        np.testing.assert_array_equal(image[:46], expected)
        # The disc is 8 to 12 pixels in radius; resized by 64 / 56, its area grows by the square of that.
        area = read_mask(root / f"masks/{name}.png", 128).sum() * (64 / 56) ** 2
        assert mask.sum() == pytest.approx(area, rel=0.05)
        assert set(np.unique(mask)) == {0, 1}


def test_splits_are_slices_that_cover_every_pair_once(write_dataset: Write, tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(15))
    preprocess(dataset, 32, tmp_path / "out")
    for split in ("train", "validation", "test"):
        data = load_prepared(tmp_path / "out", split)
        assert data.names == [pair.name for pair in dataset.of_split(split)]
        assert isinstance(data.images, np.memmap)


def test_an_image_of_the_right_size_is_kept_to_the_pixel(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(15)
    preprocess(read_dataset(root), 56, tmp_path / "out")
    data = load_prepared(tmp_path / "out", "train")
    np.testing.assert_array_equal(data.images[0, :40], read_image(root / f"images/{data.names[0]}.jpg"))
    np.testing.assert_array_equal(data.masks[0, :40], read_mask(root / f"masks/{data.names[0]}.png", 128))


def test_writing_to_loaded_arrays_leaves_the_files_alone(write_dataset: Write, tmp_path: Path) -> None:
    preprocess(read_dataset(write_dataset(15)), 32, tmp_path / "out")
    before = (tmp_path / "out" / "images.npy").read_bytes()
    load_prepared(tmp_path / "out", "train").images[:] = 7
    assert (tmp_path / "out" / "images.npy").read_bytes() == before


def test_preprocessing_twice_writes_the_same_bytes(write_dataset: Write, tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(15))
    preprocess(dataset, 32, tmp_path / "a")
    preprocess(dataset, 32, tmp_path / "b")
    for name in ("images.npy", "masks.npy", "manifest.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_manifest_names_the_files_relative_to_the_dataset(write_dataset: Write, tmp_path: Path) -> None:
    preprocess(read_dataset(write_dataset(15)), 32, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["image_size"] == 32
    item = next(item for item in manifest["items"] if item["name"] == "disc_03")
    assert (item["image"], item["mask"]) == ("images/disc_03.jpg", "masks/disc_03.png")
    assert (item["original_size"], item["input_size"]) == ([40, 56], [23, 32])


def test_a_failure_leaves_the_earlier_output_whole(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(15)
    preprocess(read_dataset(root), 32, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (root / "masks" / "disc_07.png").unlink()
    with pytest.raises(DataError, match="'disc_07' has no mask"):
        preprocess(read_dataset(root), 32, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]


def test_loading_what_is_not_there_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not preprocessed data .* run stage preprocess"):
        load_prepared(tmp_path, "train")


def test_groups_reach_training_and_default_to_the_image_itself(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(4)
    rows = ["name,split,group", "disc_00,train,left", "disc_01,train,left", "disc_02,train,", "disc_03,test,"]
    (root / "splits.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    preprocess(read_dataset(root), 32, tmp_path / "out")
    data = load_prepared(tmp_path / "out", "train")
    assert data.groups == ["left", "left", "disc_02"]
    assert data.classes == read_dataset(root).card.classes


def test_a_change_of_groups_changes_the_dataset(write_dataset: Write) -> None:
    root = write_dataset(4)
    before = fingerprint(read_dataset(root))
    text = (root / "splits.csv").read_text(encoding="utf-8").replace("split\n", "split,group\n")
    (root / "splits.csv").write_text(text.replace("train\n", "train,left\n"), encoding="utf-8")
    assert fingerprint(read_dataset(root)) != before
