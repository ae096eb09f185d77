"""Crops of whole images: where they lie, what they show, and that they can be repeated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.format import open_memmap
from PIL import Image

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.prepared.batches import make_batch
from naslora_core.data.prepared.crops import ShuffledCrops, Window, as_squares, cut
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.data.prepared.shards import RaggedRows
from naslora_core.data.preprocess.shard_files import find_anchors
from naslora_core.sam.square import PADDING_RGB

SIDE = 32
SIZES = [(100, 70), (20, 90), (1, 50), (40, 1), (1, 1), (32, 32), (33, 65)]


def whole_images(scale: float = 1.0, classes: int = 1) -> PreparedData:
    """Images in which red and green are row and column of a pixel and blue is its class times 100."""
    images, masks = [], []
    for height, width in SIZES:
        rows, columns = np.mgrid[:height, :width]
        mask = ((rows % 50 > 40) * (1 + columns // 40 % classes)).astype(np.uint8)
        mask[:, 60:63] = IGNORED_ID
        images.append(np.stack([rows, columns, np.where(mask <= classes, mask * 100, 0)], axis=2).astype(np.uint8))
        masks.append(mask)
    starts = np.cumsum([0] + [height * width for height, width in SIZES[:-1]]).tolist()
    places = [(0, start) for start in starts]
    return PreparedData(
        RaggedRows([np.concatenate([image.reshape(-1, 3) for image in images])], places, SIZES),
        RaggedRows([np.concatenate([mask.ravel() for mask in masks])], places, SIZES),
        SIZES, SIZES, [f"image{row}" for row in range(len(SIZES))],
        classes=tuple("abcde"[:classes]), scale=scale, side=SIDE,
        anchors=np.stack([find_anchors(mask, classes) for mask in masks]),
    )  # fmt: skip


def crops(data: PreparedData, rows=None, seed=5, augment=False, batch_size=4) -> ShuffledCrops:
    return ShuffledCrops(data, range(len(data)) if rows is None else rows, batch_size, seed, augment)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[Window]:
    """Every window that is cut."""
    found: list[Window] = []

    def note(data: PreparedData, window: Window):
        found.append(window)
        return cut(data, window)

    monkeypatch.setattr("naslora_core.data.prepared.crops.cut", note)
    return found


def test_a_crop_shows_the_pixels_of_its_window(windows: list[Window]) -> None:
    data = whole_images()
    batch = next(crops(data))
    for row, window in enumerate(windows):
        assert window.side == SIDE
        rows, columns = slice(window.top, window.top + SIDE), slice(window.left, window.left + SIDE)
        image, mask = data.images[window.row][rows, columns], data.masks[window.row][rows, columns]
        height, width = mask.shape
        np.testing.assert_array_equal(batch.images[row, :, :height, :width].permute(1, 2, 0), image)
        np.testing.assert_array_equal(batch.masks[row, 0, :height, :width], np.where(mask > 1, 0, mask))
        np.testing.assert_array_equal(batch.valid[row, 0, :height, :width], mask <= 1)
        assert not batch.valid[row, :, height:].any()
        assert not batch.valid[row, :, :, width:].any()
        beyond = batch.images[row].permute(1, 2, 0)[height:]
        assert (beyond == torch.tensor(PADDING_RGB, dtype=torch.uint8)).all()


@pytest.mark.parametrize("scale", [0.5, 0.37, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("augment", [False, True])
def test_windows_lie_inside_and_differ_in_scale_by_a_quarter_at_most(
    windows: list[Window], scale: float, augment: bool
) -> None:
    data = whole_images(scale)
    batches = crops(data, augment=augment, batch_size=16)
    torch.manual_seed(0)
    for _ in range(12):
        batch = next(batches)
        assert batch.images.shape[1:] == (3, SIDE, SIDE)
        # Pixels without a label are nowhere taken for a class.
        assert set(batch.masks.unique().tolist()) <= {0.0, 1.0}
        assert batch.valid.sum((1, 2, 3)).min() >= 0
    native = round(SIDE / scale)
    for window in windows:
        height, width = SIZES[window.row]
        assert 0 <= window.top <= max(0, height - window.side)
        assert 0 <= window.left <= max(0, width - window.side)
        assert native / 1.25 - 1 <= window.side <= native * 1.25 + 1
    sides = {window.side for window in windows}
    assert len(sides) == 1 if not augment else len(sides) > 1
    if augment and native > 20:
        assert min(sides) < native * 0.9 < native * 1.1 < max(sides)


def test_the_same_seed_gives_the_same_crops_and_a_state_goes_on(windows: list[Window]) -> None:
    data = whole_images()

    def next_ones(batches: ShuffledCrops, count: int):
        torch.manual_seed(3)
        return [next(batches) for _ in range(count)]

    first, second, other = (crops(data, seed=seed, augment=True) for seed in (5, 5, 6))
    for one, same, differs in zip(*(next_ones(batches, 9) for batches in (first, second, other)), strict=True):
        assert one.names == same.names
        for part in ("images", "masks", "valid"):
            assert torch.equal(getattr(one, part), getattr(same, part))
        assert one.names != differs.names or not torch.equal(one.images, differs.images)
    assert len(first) > 1
    state = first.state()
    resumed = crops(data, seed=99, augment=True)
    resumed.restore(state)
    expected = next_ones(first, 8)
    for one, same in zip(expected, next_ones(resumed, 8), strict=True):
        assert one.names == same.names
        assert torch.equal(one.images, same.images)


def test_a_pass_has_as_many_crops_of_an_image_as_cover_it() -> None:
    data = whole_images()
    batches = crops(data, batch_size=5)
    names = [name for _ in range(len(batches)) for name in next(batches).names]
    counts = {name: names.count(name) for name in data.names}
    assert counts == {"image0": 12, "image1": 3, "image2": 2, "image3": 2, "image4": 1, "image5": 1, "image6": 6}
    assert len(next(crops(data, rows=[4, 5], batch_size=5)).names) == 2


def test_half_of_the_crops_and_those_by_chance_show_an_object(windows: list[Window]) -> None:
    # One object of a pixel: without anchors one crop in 144 at most would show it.
    mask = np.zeros((400, 400), np.uint8)
    mask[250, 130] = 1
    image = np.zeros((400, 400, 3), np.uint8)
    places = [(400, 400)]
    data = PreparedData([image], [mask], places, places, ["a"], scale=1.0, side=SIDE, anchors=[find_anchors(mask, 1)])
    batches = crops(data, batch_size=40)
    shown = [next(batches).masks.amax((1, 2, 3)) for _ in range(20)]
    assert 0.45 < float(torch.cat(shown).mean()) < 0.57
    found = [window for window in windows if 0 <= 250 - window.top < SIDE and 0 <= 130 - window.left < SIDE]
    # The object lies anywhere in them, not in the middle.
    rows = np.array([250 - window.top for window in found])
    assert rows.min() < 4
    assert rows.max() > SIDE - 5


def test_a_small_class_is_shown_as_often_as_a_large_one(windows: list[Window]) -> None:
    mask = np.ones((300, 300), np.uint8)
    mask[:2, :2], mask[298:, 298:] = 2, 3
    places = [(300, 300)]
    data = PreparedData(
        [np.zeros((300, 300, 3), np.uint8)], [mask], places, places, ["a"], classes=("a", "b", "c"), scale=1.0,
        side=SIDE, anchors=[find_anchors(mask, 3)],
    )  # fmt: skip
    batches = crops(data, batch_size=50)
    masks = torch.cat([next(batches).masks for _ in range(20)])
    for number in (2, 3):
        # A third of the half.
        assert float((masks == number).any(dim=3).any(dim=2).float().mean()) == pytest.approx(1 / 6, abs=0.06)


def test_no_more_of_an_image_is_read_than_its_window(tmp_path: Path) -> None:
    # A file with a hole in it, of more pixels than memory holds.
    side, top, left = 200_000, 123_456, 98_765
    pixels = open_memmap(tmp_path / "masks.npy", mode="w+", dtype=np.uint8, shape=(side * side,))
    pixels[(top + 3) * side + left + 5] = 1
    pixels.flush()
    masks = RaggedRows([np.load(tmp_path / "masks.npy", mmap_mode="r")], [(0, 0)], [(side, side)])
    images = RaggedRows([np.broadcast_to(np.uint8([1, 2, 3]), (side * side, 3))], [(0, 0)], [(side, side)])
    sizes = [(side, side)]
    data = PreparedData(images, masks, sizes, sizes, ["a"], scale=1.0, side=SIDE)
    square = cut(data, Window(0, top, left, SIDE))
    assert (square.image == (1, 2, 3)).all()
    assert np.argwhere(square.mask).tolist() == [[3, 5]]


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("overlap", [0.0, 0.25])
def test_the_squares_of_whole_images_show_every_pixel(scale: float, overlap: float) -> None:
    data = whole_images(scale, classes=2)
    squares = as_squares(data, overlap)
    assert squares.scale is None
    assert as_squares(squares) is squares
    assert squares.side == SIDE
    assert set(squares.names) == set(data.names)
    shown = {name: np.zeros(size, bool) for name, size in zip(data.names, SIZES, strict=True)}
    for row, name in enumerate(squares.names):
        image, mask, (height, width) = squares.images[row], squares.masks[row], squares.input_sizes[row]
        assert image.shape == (SIDE, SIDE, 3)
        assert mask.shape == (SIDE, SIDE)
        assert squares.original_sizes[row] == SIZES[data.names.index(name)]
        inside = image[:height, :width]
        if scale >= 1:
            # Red and green say which pixel it is; bilinear enlarging moves it by less than one.
            shown[name][inside[..., 0].astype(int), inside[..., 1].astype(int)] = True
        assert not mask[height:].any()
        assert not mask[:, width:].any()
    if scale >= 1:
        assert all(pixels.all() for pixels in shown.values())
    batch = make_batch(squares, range(len(squares)))
    assert set(batch.masks.unique().tolist()) <= {0.0, 1.0, 2.0}


def test_an_enlarged_part_is_what_pillow_makes_of_it() -> None:
    data = whole_images(2.0)
    square = cut(data, Window(0, 30, 10, 16))
    part = data.images[0][30:46, 10:26]
    expected = np.asarray(Image.fromarray(part).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(square.image, expected)
    np.testing.assert_array_equal(square.mask, data.masks[0][30:46, 10:26].repeat(2, axis=0).repeat(2, axis=1))


def test_flips_and_turns_keep_every_pixel_with_its_label() -> None:
    data = whole_images(classes=2)
    batches = crops(data, rows=[0], augment=True, batch_size=12)
    torch.manual_seed(1)
    batch = next(batches)
    for image, mask, valid in zip(batch.images.float(), batch.masks, batch.valid, strict=True):
        # Colours change with the whole image; blue is brightest on class 2 and darkest on the background.
        means = [float(image[2][(mask[0] == number) & (valid[0] > 0)].mean()) for number in (0, 1, 2)]
        known = [mean for mean in means if not np.isnan(mean)]
        assert known == sorted(known)
