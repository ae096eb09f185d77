"""Mask files that are easily taken for something else: blurred classes, cut-outs, inverted and 64-bit masks."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from naslora_core.data.importers import IMPORTERS, ImportRequest
from naslora_core.data.importers.base import Found
from naslora_core.errors import DataError
from naslora_core.quality.measure_file import measure_mask
from tests.naslora_core.data.importers.reading.drawn import (
    HEIGHT,
    WIDTH,
    assert_equal,
    drawn,
    grey,
    import_,
    photograph,
    write,
)

SIZE = HEIGHT * WIDTH


def find(root: Path) -> Found:
    return IMPORTERS["folder"](ImportRequest(root))


def jpeg_as_png(quality: int):  # type: ignore[no-untyped-def]
    def store(mask: np.ndarray, path: Path) -> None:
        stream = BytesIO()
        Image.fromarray((mask * 80).astype(np.uint8)).save(stream, "JPEG", quality=quality)
        Image.open(stream).save(path)

    return store


def in_rgb(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(np.dstack([mask] * 3).astype(np.uint8)).save(path, lossless=True)


def cut_out(clear_is_black: bool):  # type: ignore[no-untyped-def]
    def store(mask: np.ndarray, path: Path) -> None:
        inside = (mask > 0)[..., None]
        # A few colours, which each object has in another share.
        noise = np.random.default_rng(1).integers(1, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        colour = np.where(inside, noise, 0 if clear_is_black else noise)
        Image.fromarray(np.dstack([colour, inside * 255]).astype(np.uint8)).save(path)

    return store


@pytest.mark.parametrize("quality", [95, 75, 50, 20])
@pytest.mark.parametrize(("suffix", "kind"), [(".png", "values"), (".jpg", "compression"), (".tif", "compression")])
def test_classes_that_jpeg_has_blurred_are_no_soft_edges(tmp_path: Path, quality: int, suffix: str, kind: str) -> None:
    def compressed(mask: np.ndarray, path: Path) -> None:
        options = {"compression": "jpeg"} if suffix == ".tif" else {}
        Image.fromarray((mask * 80).astype(np.uint8)).save(path, quality=quality, **options)

    store = jpeg_as_png(quality) if suffix == ".png" else compressed
    with pytest.raises(DataError, match=rf"{kind}.*--class a="):
        find(write(tmp_path / "in", drawn(1, 2, 3), store, suffix))


@pytest.mark.parametrize("quality", [95, 75, 50])
def test_jpeg_of_one_object_is_cut_in_the_middle(tmp_path: Path, quality: int) -> None:
    masks = drawn(1)
    store = lambda mask, path: Image.fromarray((mask * 255).astype(np.uint8)).save(path, quality=quality)  # noqa: E731
    assert_equal(import_(write(tmp_path / "in", masks, store, ".jpg")), masks)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "float64", "float16"])
def test_numbers_that_pillow_has_no_mode_for_are_read_as_stored(tmp_path: Path, dtype: str) -> None:
    masks = drawn(1, 300)
    store = lambda mask, path: tifffile.imwrite(path, mask.astype(dtype))  # noqa: E731
    dataset = import_(write(tmp_path / "in", masks, store, ".tif"), classes={"a": (1,), "b": (300,)})
    assert_equal(dataset, [np.select([m == 1, m == 300], [1, 2]) for m in masks])


def test_several_bands_and_too_large_numbers_are_refused_by_name(tmp_path: Path) -> None:
    bands = lambda mask, path: tifffile.imwrite(  # noqa: E731
        path, np.dstack([mask.astype(np.uint8)] * 5), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(DataError, match=r"i0.tif has 5 bands of 8 bits; a mask has one"):
        find(write(tmp_path / "bands", drawn(1), bands, ".tif"))
    large = lambda mask, path: tifffile.imwrite(path, mask.astype(np.int64) << 40)  # noqa: E731
    with pytest.raises(DataError, match=r"i0.tif has values up to 1099511627776, which no mask can hold"):
        find(write(tmp_path / "large", drawn(1), large, ".tif"))


@pytest.mark.parametrize("clear_is_black", [True, False])
def test_cut_out_pictures_are_read_by_their_alpha_channel(tmp_path: Path, clear_is_black: bool) -> None:
    masks = [np.kron(m[::2, ::2], np.ones((2, 2), np.int32)) for m in drawn(1, 1, 1)]
    dataset = import_(write(tmp_path / "in", masks, cut_out(clear_is_black)))
    assert dataset.card.mask_reading == "alpha"
    assert_equal(dataset, masks)


def test_the_shares_of_a_photograph_with_an_alpha_channel_add_up_to_one(tmp_path: Path) -> None:
    masks = drawn(1)
    understood = find(write(tmp_path / "in", masks, cut_out(clear_is_black=False))).understood
    assert understood is not None
    assert understood.total_px == len(masks) * SIZE == sum(row.pixels for row in understood.meanings)
    assert [row.pixels for row in understood.meanings] == [len(masks) * (SIZE - 100), len(masks) * 100]


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_numbers_in_three_equal_channels_are_numbers(tmp_path: Path, suffix: str) -> None:
    masks = drawn(1, 2)
    root = write(tmp_path / "in", masks, in_rgb, suffix)
    with pytest.raises(DataError, match="several readings fit.*--class a=1 --class b=2 if values are classes"):
        find(root)
    dataset = import_(root, classes={"a": (1,), "b": (2,)})
    assert_equal(dataset, masks)
    found = [measure_mask(pair.mask, dataset.card) for pair in dataset.pairs if pair.mask]
    assert [(one["mask_state"], one["mask_channels"], one["unknown_values"]) for one in found] == [("ok", 1, "")] * 4


def test_inverted_masks_are_pointed_out_with_the_option_that_turns_them(tmp_path: Path) -> None:
    masks = drawn(1)
    store = lambda mask, path: grey(255 - 255 * mask, path)  # noqa: E731
    root = write(tmp_path / "in", masks, store)
    (note,) = find(root).notes
    assert note.startswith("object covers 94.8 % of the pixels; if objects and background are exchanged: ")
    assert note.endswith("--class 'object=0' --class 'background=255'")
    assert_equal(import_(root, classes={"object": (0,), "background": (255,)}), masks)


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_has_the_name_of_a_mask_and_is_none_is_named(tmp_path: Path, kind: str) -> None:
    root = write(tmp_path / "in", drawn(1), grey)
    odd = root / "masks" / "i2.png"
    odd.unlink()
    if kind == "folder":
        odd.mkdir()
    else:
        odd.symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"i2.png (is a folder|leads nowhere).*replace or remove it, or --skip-bad"):
        import_(root)
    assert not (tmp_path / "data").exists() or not any((tmp_path / "data").iterdir())


def test_images_that_are_not_read_or_lie_deeper_are_named_with_the_way_on(tmp_path: Path) -> None:
    root = write(tmp_path / "in", drawn(1), lambda mask, path: Image.fromarray(photograph(1)).save(path), ".gif")
    with pytest.raises(
        DataError, match=r"masks holds no image file; it holds: i0.gif.*Read are .bmp.*--pairs FILE.csv"
    ):
        find(root)
