"""Preprocessing: squares, shards and what is used again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import write_card
from naslora_core.data.dataset.dataset import Dataset, fingerprint, read_dataset
from naslora_core.data.dataset.image_files.images import read_image
from naslora_core.data.dataset.image_files.pixels import read_mask
from naslora_core.data.dataset.splits import SPLITS
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.data.prepared.shards import ShardedRows, shard_count, shard_name
from naslora_core.data.preprocess import decode
from naslora_core.data.preprocess.preprocess import preprocess
from naslora_core.errors import DataError
from naslora_core.sam.square import PADDING_RGB, resized_shape

Write = Callable[..., Path]


def stacked(rows: np.ndarray | ShardedRows) -> np.ndarray:
    return np.stack([rows[index] for index in range(len(rows))])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def replace_image(root: Path, name: str) -> None:
    """Overwrite one image with another one."""
    path = root / "images" / f"{name}.jpg"
    pixels = np.array(Image.open(path))
    Image.fromarray(255 - pixels).save(path, quality=95)


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
    images, masks = stacked(data.images), stacked(data.masks)
    assert images.dtype == masks.dtype == np.uint8
    assert data.input_sizes == [(46, 64)] * 3
    assert data.original_sizes == [(40, 56)] * 3
    assert (images[:, 46:] == PADDING_RGB).all()
    assert not masks[:, 46:].any()
    assert images[:, :46].max() > 100
    for name, image, mask in zip(data.names, images, masks, strict=True):
        expected = np.asarray(Image.fromarray(read_image(root / f"images/{name}.jpg")).resize((64, 46), 2))
        np.testing.assert_array_equal(image[:46], expected)
        # The disc is 8 to 12 pixels in radius; resized by 64 / 56, its area grows by the square of that.
        area = read_mask(root / f"masks/{name}.png", 128).sum() * (64 / 56) ** 2
        assert mask.sum() == pytest.approx(area, rel=0.05)
        assert set(np.unique(mask)) == {0, 1}


def test_splits_cover_every_pair_once_and_are_sorted_by_name(write_dataset: Write, tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(15))
    preprocess(dataset, 32, tmp_path / "out")
    for split in ("train", "validation", "test"):
        data = load_prepared(tmp_path / "out", split)
        assert data.names == [pair.name for pair in dataset.of_split(split)]
        assert isinstance(data.images[0], np.memmap)


def test_an_image_of_the_right_size_is_kept_to_the_pixel(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(15)
    preprocess(read_dataset(root), 56, tmp_path / "out")
    data = load_prepared(tmp_path / "out", "train")
    np.testing.assert_array_equal(data.images[0][:40], read_image(root / f"images/{data.names[0]}.jpg"))
    np.testing.assert_array_equal(data.masks[0][:40], read_mask(root / f"masks/{data.names[0]}.png", 128))


def test_writing_to_loaded_arrays_leaves_the_files_alone(write_dataset: Write, tmp_path: Path) -> None:
    preprocess(read_dataset(write_dataset(15)), 32, tmp_path / "out")
    before = files(tmp_path / "out")
    load_prepared(tmp_path / "out", "train").images[0][:] = 7
    assert files(tmp_path / "out") == before


def test_the_manifest_names_the_files_relative_to_the_dataset(write_dataset: Write, tmp_path: Path) -> None:
    preprocess(read_dataset(write_dataset(15)), 32, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["recipe"]["image_size"] == 32
    item = next(item for item in manifest["items"] if item["name"] == "disc_03")
    assert (item["image"], item["mask"]) == ("images/disc_03.jpg", "masks/disc_03.png")
    assert (item["original_size"], item["input_size"]) == ([40, 56], [23, 32])


def test_a_failure_leaves_the_earlier_output_whole(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(15)
    preprocess(read_dataset(root), 32, tmp_path / "out")
    before = files(tmp_path / "out")
    (root / "masks" / "disc_07.png").unlink()
    with pytest.raises(DataError, match="'disc_07' has no mask"):
        preprocess(read_dataset(root), 32, tmp_path / "out")
    assert files(tmp_path / "out") == before
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


def test_class_ids_reach_training_in_the_cards_order(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(6)
    card = read_dataset(root).card.model_copy(
        update={"classes": ("core", "rim"), "mask_threshold": None, "mask_values": {"core": (255,), "rim": (128,)}}
    )
    write_card(root, card)
    for path in (root / "masks").iterdir():
        mask = np.array(Image.open(path))
        mask[:, :28] = np.where(mask[:, :28] > 0, 128, 0)
        Image.fromarray(mask).save(path)
    preprocess(read_dataset(root), 56, tmp_path / "out")
    data = load_prepared(tmp_path / "out", "train")
    assert data.classes == ("core", "rim")
    for mask in stacked(data.masks):
        assert set(np.unique(mask[:, :28])) == {0, 2}
        assert set(np.unique(mask[:, 28:])) == {0, 1}


@pytest.mark.parametrize(
    ("images", "shards"), [(0, 1), (1, 1), (256, 1), (360, 1), (370, 2), (800, 4), (1024, 4), (100_000, 128)]
)
def test_shards_hold_about_256_images_until_there_would_be_too_many_files(images: int, shards: int) -> None:
    assert shard_count(images) == shards


def test_doubling_the_shards_divides_each_and_spreads_names_evenly() -> None:
    names = [f"image_{index}" for index in range(4000)]
    sizes = dict.fromkeys((f"train-{number:02d}" for number in range(16)), 0)
    for name in names:
        shard = shard_name("train", name, 16)
        sizes[shard] += 1
        assert int(shard[-2:]) % 8 == int(shard_name("train", name, 8)[-2:])
    # 250 each; the spread of a fair draw is its root, 16.
    assert all(170 < size < 330 for size in sizes.values())


def test_rows_of_several_files_are_read_in_their_own_order() -> None:
    first, second = np.arange(6).reshape(3, 2), np.arange(10, 14).reshape(2, 2)
    rows = ShardedRows([first, second], [(1, 1), (0, 2), (1, 0)])
    assert rows.shape == (3, 2)
    assert [row.tolist() for row in rows] == [[12, 13], [4, 5], [10, 11]]
    with pytest.raises(IndexError):
        rows[3]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naslora_core.data.prepared.shards._IMAGES_PER_SHARD", 4)


@pytest.mark.usefixtures("small_shards")
def test_the_result_depends_neither_on_workers_nor_on_history(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(24)
    preprocess(read_dataset(root), 32, tmp_path / "grown")
    replace_image(root, "disc_05")
    shutil.copy(root / "images" / "disc_00.jpg", root / "images" / "extra.jpg")
    shutil.copy(root / "masks" / "disc_00.png", root / "masks" / "extra.png")
    (root / "images" / "disc_09.jpg").unlink()
    (root / "masks" / "disc_09.png").unlink()
    for name, workers in (("grown", 1), ("alone", 1), ("together", 2)):
        preprocess(read_dataset(root), 32, tmp_path / name, workers=workers)
    assert len(files(tmp_path / "alone")) > 9
    assert files(tmp_path / "grown") == files(tmp_path / "alone") == files(tmp_path / "together")
    train = load_prepared(tmp_path / "grown", "train")
    assert train.names == [pair.name for pair in read_dataset(root).of_split("train")]
    whole = {name: train.images[row] for row, name in enumerate(train.names)}
    for name, image in whole.items():
        expected = np.asarray(Image.fromarray(read_image(root / f"images/{name}.jpg")).resize((32, 23), 2))
        np.testing.assert_array_equal(image[:23], expected)


@pytest.mark.usefixtures("small_shards")
def test_a_changed_image_is_decoded_alone_and_changes_one_shard(
    write_dataset: Write, tmp_path: Path, decoded: list[str]
) -> None:
    root, out = write_dataset(24), tmp_path / "out"
    preprocess(read_dataset(root), 32, out)
    assert len(decoded) == 24
    decoded.clear()
    before, inodes = files(out), {path.name: path.stat().st_ino for path in out.iterdir()}
    replace_image(root, "disc_05")
    preprocess(read_dataset(root), 32, out)
    assert decoded == ["disc_05"]
    item = next(item for item in json.loads((out / "manifest.json").read_text())["items"] if item["name"] == "disc_05")
    # The mask is the same, but the shard's files are written together.
    changed = {name for name, content in files(out).items() if content != before[name]}
    assert changed == {f"{item['shard']}.images.npy", "manifest.json"}
    kept = {path.name for path in out.iterdir() if path.stat().st_ino == inodes[path.name]}
    assert kept == set(before) - {f"{item['shard']}.images.npy", f"{item['shard']}.masks.npy", "manifest.json"}


@pytest.mark.usefixtures("small_shards")
def test_arrays_that_were_deleted_are_made_from_those_that_are_kept(
    write_dataset: Write, tmp_path: Path, decoded: list[str]
) -> None:
    root, out, kept = write_dataset(24), tmp_path / "out", tmp_path / "cache" / "kept"
    preprocess(read_dataset(root), 32, out, kept=kept)
    assert {path.name: path.stat().st_ino for path in kept.iterdir()} == {
        path.name: path.stat().st_ino for path in out.iterdir()
    }
    replace_image(root, "disc_05")
    shutil.rmtree(out)
    decoded.clear()
    preprocess(read_dataset(root), 32, out, kept=kept)
    assert decoded == ["disc_05"]
    preprocess(read_dataset(root), 32, tmp_path / "alone")
    assert files(out) == files(tmp_path / "alone") == files(kept)


def keep_nothing(kept: Path) -> None:
    shutil.rmtree(kept)


def keep_a_file(kept: Path) -> None:
    shutil.rmtree(kept)
    kept.write_text("not a folder")


def keep_other_pixels(kept: Path) -> None:
    shard = next(kept.glob("*.images.npy"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 255
    shard.unlink()
    shard.write_bytes(content)


def keep_half(kept: Path) -> None:
    next(kept.glob("*.masks.npy")).unlink()


def keep_no_manifest(kept: Path) -> None:
    (kept / "manifest.json").write_text("[]")


@pytest.mark.parametrize("spoil", [keep_nothing, keep_a_file, keep_other_pixels, keep_half, keep_no_manifest])
def test_kept_arrays_that_are_damaged_or_foreign_change_nothing(
    write_dataset: Write, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    root, out, kept = write_dataset(6), tmp_path / "out", tmp_path / "kept"
    preprocess(read_dataset(root), 32, out, kept=kept)
    before = files(out)
    shutil.rmtree(out)
    spoil(kept)
    preprocess(read_dataset(root), 32, out, kept=kept)
    assert files(out) == files(kept) == before


def test_arrays_that_cannot_be_kept_are_no_failure(
    write_dataset: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = write_dataset(6), tmp_path / "out"
    (tmp_path / "file").touch()
    preprocess(read_dataset(root), 32, out, kept=tmp_path / "file" / "kept")
    assert (out / "manifest.json").is_file()


def test_without_hard_links_unchanged_shards_are_copied(
    write_dataset: Write, tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, out = read_dataset(write_dataset(6)), tmp_path / "out"
    preprocess(dataset, 32, out)
    before = files(out)
    decoded.clear()

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    preprocess(dataset, 32, out)
    assert decoded == []
    assert files(out) == before


def change_size(dataset: Dataset) -> tuple[Dataset, int]:
    return dataset, 48


def change_encoding(dataset: Dataset) -> tuple[Dataset, int]:
    return Dataset(dataset.root, dataset.card.model_copy(update={"mask_threshold": 7}), dataset.pairs), 32


@pytest.mark.parametrize("change", [change_size, change_encoding])
def test_another_size_or_encoding_uses_nothing_again(
    write_dataset: Write, tmp_path: Path, decoded: list[str], change: Callable[[Dataset], tuple[Dataset, int]]
) -> None:
    dataset = read_dataset(write_dataset(6))
    preprocess(dataset, 32, tmp_path / "out")
    decoded.clear()
    preprocess(*change(dataset), tmp_path / "out")
    assert len(decoded) == 6


def truncate(out: Path) -> None:
    path = out / "train-00.images.npy"
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(out: Path) -> None:
    path = out / "train-00.masks.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def lose(out: Path) -> None:
    (out / "test-00.masks.npy").unlink()


def scramble_manifest(out: Path) -> None:
    (out / "manifest.json").write_text('{"recipe": ')


def make_manifest_a_list(out: Path) -> None:
    (out / "manifest.json").write_text("[]")


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lose, scramble_manifest, make_manifest_a_list])
def test_a_damaged_earlier_output_is_made_anew_and_told(
    write_dataset: Write, tmp_path: Path, decoded: list[str], damage: Callable[[Path], None]
) -> None:
    dataset, out = read_dataset(write_dataset(8)), tmp_path / "out"
    preprocess(dataset, 32, out)
    whole = files(out)
    damage(out)
    decoded.clear()
    said: list[str] = []
    preprocess(dataset, 32, out, lambda done, total, message: said.append(message))
    assert len(decoded) == 8
    assert "of the earlier output is damaged" in said[-1] or "the earlier output is damaged" in said[-1]
    assert files(out) == whole


def test_an_output_of_another_version_is_made_anew_and_told(
    write_dataset: Write, tmp_path: Path, decoded: list[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "images.npy").touch()
    (tmp_path / "out" / "manifest.json").write_text('{"image_size": 32, "items": []}')
    with pytest.raises(DataError, match="lacks 'recipe'.* run stage preprocess"):
        load_prepared(tmp_path / "out", "train")
    said: list[str] = []
    preprocess(read_dataset(write_dataset(4)), 32, tmp_path / "out", lambda *step: said.append(step[2]))
    assert said[-1] == "preprocess discs from the beginning: the earlier output is of another version"
    assert not (tmp_path / "out" / "images.npy").exists()
    assert sum(len(load_prepared(tmp_path / "out", split)) for split in SPLITS) == 4


def test_a_broken_file_is_named_by_whichever_process_finds_it(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(6)
    (root / "images" / "disc_02.jpg").write_bytes((root / "images" / "disc_02.jpg").read_bytes()[:200])
    for workers in (1, 2):
        with pytest.raises(DataError, match=r"disc_02\.jpg cannot be read"):
            preprocess(read_dataset(root), 32, tmp_path / "out", workers=workers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
