"""Preprocessing for crops: whole images of any size, and pixels on their objects."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.dataset.dataset import Dataset, read_dataset
from naslora_core.data.dataset.image_files.images import read_image
from naslora_core.data.dataset.image_files.pixels import read_mask
from naslora_core.data.dataset.splits import SPLITS
from naslora_core.data.prepared.prepared import ANCHORS, load_prepared
from naslora_core.data.preprocess import decode
from naslora_core.data.preprocess import preprocess as preprocessing
from naslora_core.data.preprocess.decode import Square
from naslora_core.data.preprocess.preprocess import preprocess
from naslora_core.data.preprocess.shard_files import find_anchors, write_whole
from naslora_core.errors import DataError
from naslora_core.progress import silent

Write = Callable[..., Path]
ODD = {"disc_01": (1, 56), "disc_02": (37, 1), "disc_03": (90, 120), "disc_04": (1, 1)}


def whole(dataset: Dataset, output: Path, **options) -> list[str]:
    """Prepare whole images; return what was said."""
    said: list[str] = []
    preprocess(dataset, 32, output, lambda done, total, message: said.append(message), view="crops", **options)
    return said


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def root(write_dataset: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of 24 images, some of odd sizes, in shards of about four."""
    monkeypatch.setattr(preprocessing, "_WHOLE_IMAGES_COUNT_FOR", 64)
    root = write_dataset(24)
    for name, (height, width) in ODD.items():
        rng = np.random.default_rng(height)
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(root / "images" / f"{name}.jpg")
        Image.fromarray(np.full((height, width), 255, np.uint8)).save(root / "masks" / f"{name}.png")
    return root


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all pairs that are decoded in this process, in their order."""
    names: list[str] = []
    original = decode.decode_pair

    def spy(pair, card, image_size):
        names.append(pair.name)
        return original(pair, card, image_size)

    monkeypatch.setattr(decode, "decode_pair", spy)
    return names


def test_every_image_is_kept_to_the_pixel_with_pixels_on_its_objects(root: Path, tmp_path: Path) -> None:
    whole(read_dataset(root), tmp_path / "out")
    assert len(list((tmp_path / "out").glob("train-*.images.npy"))) > 1
    for split in SPLITS:
        data = load_prepared(tmp_path / "out", split, scale=2.0)
        assert (data.scale, data.side) == (2.0, 32)
        for row, name in enumerate(data.names):
            assert data.input_sizes[row] == data.original_sizes[row] == ODD.get(name, (40, 56))
            np.testing.assert_array_equal(data.images[row], read_image(root / f"images/{name}.jpg"))
            np.testing.assert_array_equal(data.masks[row], read_mask(root / f"masks/{name}.png", 128))
            anchors = data.anchors[row]
            assert anchors.shape == (ANCHORS, 2)
            assert data.masks[row][anchors[:, 0], anchors[:, 1]].all()


def test_the_result_does_not_depend_on_workers(root: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        whole(read_dataset(root), tmp_path / f"{workers}", workers=workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")


def test_the_result_does_not_depend_on_what_was_there_before(root: Path, tmp_path: Path, decoded: list[str]) -> None:
    whole(read_dataset(root), tmp_path / "grown")
    decoded.clear()
    before = files(tmp_path / "grown")
    whole(read_dataset(root), tmp_path / "grown")
    assert decoded == []
    assert files(tmp_path / "grown") == before
    # Of another size, so that the images after it in its shard begin elsewhere.
    shutil.copy(root / "images" / "disc_03.jpg", root / "images" / "disc_05.jpg")
    shutil.copy(root / "masks" / "disc_03.png", root / "masks" / "disc_05.png")
    whole(read_dataset(root), tmp_path / "grown")
    assert decoded == []
    (root / "images" / "disc_05.jpg").write_bytes((root / "images" / "disc_06.jpg").read_bytes())
    shutil.copy(root / "masks" / "disc_07.png", root / "masks" / "disc_05.png")
    whole(read_dataset(root), tmp_path / "grown")
    assert decoded == ["disc_05"]
    whole(read_dataset(root), tmp_path / "alone")
    assert files(tmp_path / "grown") == files(tmp_path / "alone") != before
    changed = {name for name, content in files(tmp_path / "alone").items() if content != before[name]}
    assert len({name.partition(".")[0] for name in changed} - {"manifest"}) == 1


def test_squares_of_an_earlier_output_are_no_whole_images(root: Path, tmp_path: Path, decoded: list[str]) -> None:
    preprocess(read_dataset(root), 32, tmp_path / "out", silent)
    decoded.clear()
    whole(read_dataset(root), tmp_path / "out", kept=tmp_path / "kept")
    assert len(decoded) == 24
    whole(read_dataset(root), tmp_path / "alone", kept=tmp_path / "kept")
    assert len(decoded) == 24
    assert files(tmp_path / "out") == files(tmp_path / "alone")


def flip_a_bit(out: Path) -> None:
    path = next(out.glob("train-*.anchors.npy"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def append(out: Path) -> None:
    with next(out.glob("train-*.masks.npy")).open("ab") as file:
        file.write(b"0")


def lose(out: Path) -> None:
    next(out.glob("train-*.images.npy")).unlink()


def shift(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    next(item for item in manifest["items"] if item["start"])["start"] -= 1
    (out / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("damage", [flip_a_bit, append, lose, shift])
def test_a_damaged_earlier_output_is_made_anew_and_told(
    root: Path, tmp_path: Path, decoded: list[str], damage: Callable[[Path], None]
) -> None:
    whole(read_dataset(root), tmp_path / "out")
    before = files(tmp_path / "out")
    decoded.clear()
    damage(tmp_path / "out")
    assert "the earlier output is damaged" in whole(read_dataset(root), tmp_path / "out")[-1]
    assert len(decoded) == 24
    assert files(tmp_path / "out") == before


def test_one_image_is_in_memory_at_a_time(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, held, most = decode.decode_pair, 0, []

    class Counted(Square):
        def __del__(self) -> None:
            nonlocal held
            held -= 1

    def count(pair, card, image_size):
        nonlocal held
        most.append(held)
        square = original(pair, card, image_size)
        held += 1
        return Counted(square.image, square.mask, square.sizes)

    monkeypatch.setattr(decode, "decode_pair", count)
    whole(read_dataset(root), tmp_path / "out")
    assert most == [0] * 24


def test_what_several_processes_hold_is_bounded_by_pixels(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = read_dataset(root).pairs
    monkeypatch.setattr(preprocessing, "_PIXELS_AT_ONCE", 3 * 40 * 56)
    groups = list(preprocessing._groups(pairs))
    assert [pair for group in groups for pair in group] == list(pairs)
    sizes = [[np.prod(ODD.get(pair.name, (40, 56))) for pair in group] for group in groups]
    assert all(sum(group) <= 3 * 40 * 56 or len(group) == 1 for group in sizes)
    assert max(map(len, groups)) >= 3


def test_a_broken_file_is_named_by_whichever_process_finds_it(root: Path, tmp_path: Path) -> None:
    (root / "images" / "disc_10.jpg").write_bytes((root / "images" / "disc_10.jpg").read_bytes()[:200])
    for workers in (1, 2):
        with pytest.raises(DataError, match=r"disc_10\.jpg cannot be read"):
            whole(read_dataset(root), tmp_path / "out", workers=workers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_every_class_has_as_many_anchors_from_all_over_it() -> None:
    mask = np.zeros((200, 300), np.uint8)
    mask[:, 10:50], mask[60:90, 100:280], mask[199, 299] = 1, 3, 4
    mask[100:, 150:250] = IGNORED_ID
    anchors = find_anchors(mask, classes=5)
    ids = mask[anchors[:, 0], anchors[:, 1]]
    numbers, counts = np.unique(ids, return_counts=True)
    assert numbers.tolist() == [1, 3, 4]
    assert counts.min() >= ANCHORS // 3
    rows = anchors[ids == 1, 0]
    # Evenly spaced: each tenth of the stripe has its tenth of the anchors, up to one.
    tenths = np.histogram(rows, bins=10, range=(0, 200))[0]
    assert tenths.max() - tenths.min() <= 1


def test_a_mask_without_objects_has_no_anchors_and_one_of_many_classes_has_all() -> None:
    empty = np.zeros((5, 7), np.uint8)
    empty[2] = IGNORED_ID
    assert (find_anchors(empty, classes=2) == -1).all()
    full = np.arange(1, 121, dtype=np.uint8).reshape(10, 12)
    anchors = find_anchors(full, classes=120)
    ids = full[anchors[:, 0], anchors[:, 1]]
    assert len(set(ids.tolist())) == ANCHORS
    assert ids.min() < 4
    assert ids.max() > 110


def test_files_of_pixels_are_ordinary_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (height, 3, 3), np.uint8) for height in (1, 4)]
    squares = [Square(image, image[..., 0] % 2, (image.shape[:2],) * 2) for image in images]
    assert list(write_whole(tmp_path, "train-00", 1, squares)) == [((1, 3), (1, 3)), ((4, 3), (4, 3))]
    stored = np.load(tmp_path / "train-00.images.npy")
    np.testing.assert_array_equal(stored, np.concatenate([image.reshape(-1, 3) for image in images]))
    assert np.load(tmp_path / "train-00.masks.npy").shape == (15,)
    assert np.load(tmp_path / "train-00.anchors.npy").shape == (2, ANCHORS, 2)


def test_what_does_not_fit_the_manifest_is_refused_on_loading(root: Path, tmp_path: Path) -> None:
    whole(read_dataset(root), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    shard = next(item["shard"] for item in manifest["items"] if item["split"] == "train")

    def refused(reason: str) -> None:
        with pytest.raises(DataError, match=rf"(?s)is not preprocessed data .*{reason}.*run stage preprocess"):
            load_prepared(tmp_path / "out", "train")

    for change, reason in (
        ({"start": 10**7}, "has no .* pixels from 10000000 on"),
        ({"start": -1}, "start"),
        ({"start": None}, "has no .* pixels from None"),
        ({"row": 99}, "has no anchors 99"),
        ({"input_size": [10**5, 10**5]}, "has no 100000 x 100000 pixels"),
        ({"shard": "../train-00"}, "shard"),
    ):
        items = [{**item, **change} for item in manifest["items"]]
        (tmp_path / "out" / "manifest.json").write_text(json.dumps({**manifest, "items": items}))
        refused(reason)
    for size in (None, 10**6):
        recipe = {**manifest["recipe"], "image_size": size}
        (tmp_path / "out" / "manifest.json").write_text(json.dumps({**manifest, "recipe": recipe}))
        refused("image_size")
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    load_prepared(tmp_path / "out", "train")
    path = tmp_path / "out" / f"{shard}.anchors.npy"
    anchors = np.load(path)
    for wrong in (anchors.astype(np.float32), anchors[:, :, :1], anchors[:0]):
        np.save(path, wrong)
        refused("anchors")
    path.unlink()
    refused("anchors")
