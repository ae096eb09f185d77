"""Images of every depth and number of bands: read as stored, converted as declared, refused where nothing is."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from naslora_core.data.dataset.image_files import tiff
from naslora_core.data.dataset.image_files.facts import read_facts
from naslora_core.data.dataset.image_files.images import ReadingMissingError, read_bands, read_image
from naslora_core.data.dataset.image_files.pixels import read_mask_values
from naslora_core.data.dataset.image_files.reading import ImageReading, ValueRange
from naslora_core.errors import DataError

SHAPE = (30, 41)
COLOUR = ImageReading(bands=(1, 2, 3), range=ValueRange(low=0, high=4095))
GREY = ImageReading(bands=(1,), range=ValueRange(low=0, high=4095))


def values(bands: int, dtype: str = "uint16", high: int = 4096) -> np.ndarray:
    """Values of 12 bits, (H, W, bands), as a microscope's camera gives them; `dtype` may be wider."""
    return np.random.default_rng(bands).integers(0, high, (*SHAPE, bands)).astype(dtype)


def twin(stored: np.ndarray) -> np.ndarray:
    """The same values in 8 bits."""
    return np.rint(stored / 4095 * 255).astype(np.uint8)


def write_png(path: Path, stored: np.ndarray) -> Path:
    """Write a 16-bit PNG by hand: no library here writes them all, and the reader is to be held against another one."""
    height, width, bands = stored.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(content)
    return path


def write_tiff(path: Path, stored: np.ndarray, **options: object) -> Path:
    if options.get("planarconfig") == "separate":
        stored = np.moveaxis(stored, 2, 0)
    elif stored.shape[2] == 1:
        stored = stored[..., 0]
    else:
        options = {"planarconfig": "contig", **options}
    tifffile.imwrite(path, stored, metadata=None, **options)
    return path


WRITERS = {
    "png grey": lambda path, stored: write_png(path, stored[..., :1]),
    "png grey with alpha": lambda path, stored: write_png(path, stored[..., :2]),
    "png rgb": lambda path, stored: write_png(path, stored[..., :3]),
    "png rgba": lambda path, stored: write_png(path, stored),
    "tiff grey": lambda path, stored: write_tiff(path, stored[..., :1], photometric="minisblack"),
    "tiff rgb": lambda path, stored: write_tiff(path, stored[..., :3], photometric="rgb"),
    "tiff rgb in planes": lambda path, stored: write_tiff(
        path, stored[..., :3], photometric="rgb", planarconfig="separate"
    ),
    "tiff rgb deflate with predictor": lambda path, stored: write_tiff(
        path, stored[..., :3], photometric="rgb", compression="zlib", predictor=True
    ),
    "tiff rgb in tiles, big-endian": lambda path, stored: write_tiff(
        path, stored[..., :3], photometric="rgb", tile=(16, 16), byteorder=">"
    ),
    "tiff rgba": lambda path, stored: write_tiff(path, stored, photometric="rgb", extrasamples=["unassalpha"]),
    "tiff of 2 bands": lambda path, stored: write_tiff(path, stored[..., :2], photometric="minisblack"),
    "tiff of 4 bands": lambda path, stored: write_tiff(path, stored, photometric="minisblack"),
    "tiff of 4 bands in planes": lambda path, stored: write_tiff(
        path, stored, photometric="minisblack", planarconfig="separate"
    ),
    "bigtiff": lambda path, stored: write_tiff(path, stored[..., :3], photometric="rgb", bigtiff=True),
    "tiff of 32 bits": lambda path, stored: write_tiff(path, stored[..., :3].astype("uint32"), photometric="rgb"),
    "tiff with a sign": lambda path, stored: write_tiff(path, stored[..., :2].astype("int16"), photometric=1),
    "float tiff": lambda path, stored: write_tiff(path, stored[..., :3].astype("float32"), photometric="rgb"),
    "double tiff": lambda path, stored: write_tiff(path, stored[..., :1].astype("float64"), photometric="minisblack"),
    "imagej channels": lambda path, stored: tifffile.imwrite(
        path, np.moveaxis(stored, 2, 0), imagej=True, metadata={"axes": "CYX"}
    ),
    "ome channels": lambda path, stored: tifffile.imwrite(
        path, np.moveaxis(stored, 2, 0), ome=True, photometric="minisblack", metadata={"axes": "CYX"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
def test_a_deep_image_is_its_8_bit_twin_with_a_range_and_refused_without(tmp_path: Path, kind: str) -> None:
    stored = values(4)
    path = tmp_path / ("image.png" if kind.startswith("png") else "image.ome.tif" if "ome" in kind else "image.tif")
    WRITERS[kind](path, stored)
    with pytest.raises(ReadingMissingError, match=r"say in dataset.yaml .*image: \{bands: \["):
        read_image(path)
    facts = read_facts(path)
    assert not facts.is_plain
    assert facts.size == SHAPE
    np.testing.assert_array_equal(read_bands(path, facts), stored[..., : facts.bands])
    if facts.bands >= 3:
        np.testing.assert_array_equal(read_image(path, COLOUR), twin(stored[..., :3]))
        turned = ImageReading(bands=(3, 1, 2), range=COLOUR.range)
        np.testing.assert_array_equal(read_image(path, turned), twin(stored[..., [2, 0, 1]]))
    else:
        with pytest.raises(DataError, match=f"has {facts.bands} bands?, and band 3 is asked for"):
            read_image(path, COLOUR)
    np.testing.assert_array_equal(read_image(path, GREY), np.repeat(twin(stored[..., :1]), 3, axis=2))
    np.testing.assert_array_equal(read_image(path, GREY, path.read_bytes()), read_image(path, GREY))


def test_the_line_in_a_refusal_has_the_values_of_the_file(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "image.tif", values(3) % 3000 + 100, photometric="rgb")
    with pytest.raises(DataError, match="3 bands of 16 bits") as caught:
        read_image(path)
    low, high = np.percentile(values(3) % 3000 + 100, (0.1, 99.9))
    assert f"range: {{low: {int(low)}, high: {int(np.ceil(high))}}}" in str(caught.value)


def test_where_zero_is_white_more_is_brighter(tmp_path: Path) -> None:
    stored = values(1, high=65536)
    path = write_tiff(tmp_path / "image.tif", 65535 - stored, photometric="miniswhite")
    np.testing.assert_array_equal(read_bands(path, read_facts(path)), stored)


def turned(pixels: np.ndarray, turn: int) -> np.ndarray:
    """EXIF's own words: where row 0 and column 0 of what is stored lie in what is seen."""
    rows = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}[turn]
    columns = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}[turn]
    pixels = pixels.transpose(1, 0, 2) if rows in ("left", "right") else pixels
    pixels = pixels[::-1] if "bottom" in (rows, columns) else pixels
    return pixels[:, ::-1] if "right" in (rows, columns) else pixels


@pytest.mark.parametrize("turn", range(1, 9))
def test_tiffs_are_turned_by_their_orientation(tmp_path: Path, turn: int) -> None:
    stored = values(1)
    path = write_tiff(tmp_path / "image.tif", stored, photometric="minisblack", extratags=[(274, 3, 1, turn, True)])
    expected = turned(np.repeat(twin(stored), 3, axis=2), turn)
    assert read_facts(path).size == expected.shape[:2]
    np.testing.assert_array_equal(read_image(path, GREY), expected)
    for compression in (None, "zlib"):
        options = {"photometric": "minisblack", "compression": compression, "byteorder": ">"}
        write_tiff(path, twin(stored), extratags=[(274, 3, 1, turn, True)], **options)
        np.testing.assert_array_equal(read_image(path), expected)
        np.testing.assert_array_equal(read_image(path, None, path.read_bytes()), expected)
        np.testing.assert_array_equal(read_mask_values(path), expected[..., 0])


def test_a_png_with_exif_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    stored = values(1)
    Image.fromarray(stored[..., 0]).save(tmp_path / "image.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "image.png", GREY)[..., 0], np.rot90(twin(stored[..., 0]), -1))


def test_numbers_that_are_none_are_black_and_nothing_but_them_is_refused(tmp_path: Path) -> None:
    stored = np.linspace(-1, 3, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(*SHAPE, 1)
    stored[0, :3, 0] = np.nan, np.inf, -np.inf
    reading = ImageReading(bands=(1,), range=ValueRange(low=0, high=2))
    path = write_tiff(tmp_path / "image.tif", stored, photometric="minisblack")
    grey = read_image(path, reading)[..., 0]
    assert grey[0, :3].tolist() == [0, 255, 0]
    np.testing.assert_array_equal(grey[1:], np.rint(np.clip(stored[1:, :, 0].astype(float), 0, 2) / 2 * 255))
    with pytest.raises(DataError, match=r"1 band of 32 bits floating point.*low: -0.9.*, high: 2.9"):
        read_image(path)
    with pytest.raises(DataError, match="no pixel that is a number"):
        read_image(write_tiff(path, stored * np.nan, photometric="minisblack"), reading)
    with pytest.raises(DataError, match="complex numbers"):
        read_image(write_tiff(path, stored.astype(np.complex64), photometric="minisblack"), reading)


def test_percentiles_are_of_each_image_and_never_lose_the_few_bright_spots(tmp_path: Path) -> None:
    reading = ImageReading(bands=(1,), range=ValueRange(percentiles=(1, 99)))
    stored = values(1)
    dark, bright = (write_tiff(tmp_path / f"{k}.tif", stored // k, photometric="minisblack") for k in (8, 1))
    assert np.abs(read_image(dark, reading).astype(int) - read_image(bright, reading)).max() <= 1
    spots = np.full((*SHAPE, 1), 7, np.uint16)
    spots[5, 5] = 900
    grey = read_image(write_tiff(tmp_path / "spots.tif", spots, photometric="minisblack"), reading)[..., 0]
    assert (grey[5, 5], int(grey.sum())) == (255, 255)


PLAIN = {
    "1 bit": lambda pixels: Image.fromarray(pixels[..., 0]).convert("1"),
    "grey": lambda pixels: Image.fromarray(pixels[..., 0]),
    "grey with alpha": lambda pixels: Image.fromarray(pixels[..., :2]),
    "palette": lambda pixels: Image.fromarray(pixels[..., :3]).quantize(17),
    "rgb": lambda pixels: Image.fromarray(pixels[..., :3]),
    "rgba": lambda pixels: Image.fromarray(pixels),
    "cmyk": lambda pixels: Image.fromarray(pixels[..., :3]).convert("CMYK"),
    "ycbcr": lambda pixels: Image.fromarray(pixels[..., :3]).convert("YCbCr"),
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_images_of_8_bits_need_no_reading_and_are_as_pillow_shows_them(tmp_path: Path, kind: str, suffix: str) -> None:
    picture = PLAIN[kind](values(4, "uint8", 256))
    path = tmp_path / f"image.{suffix}"
    try:
        picture.save(path)
    except OSError:
        pytest.skip(f"{suffix} has no {kind}")
    with Image.open(path) as opened:
        facts = read_facts(path)
        assert (facts.is_plain, facts.mode, facts.bands) == (True, opened.mode, len(opened.getbands()))
        np.testing.assert_array_equal(read_image(path), np.asarray(opened.convert("RGB")))


def test_bytes_with_bands_that_are_no_colours_need_a_reading_and_named_colours_do_not(tmp_path: Path) -> None:
    stored = values(4, "uint8", 256)
    for bands in (2, 3, 4):
        path = write_tiff(tmp_path / f"{bands}.tif", stored[..., :bands], photometric="minisblack")
        with pytest.raises(DataError, match=f"{bands} bands of 8 bits.*low: 0, high: 255"):
            read_image(path)
    reading = ImageReading(bands=(4, 2, 1), range=ValueRange(low=0, high=255))
    np.testing.assert_array_equal(read_image(tmp_path / "4.tif", reading), stored[..., [3, 1, 0]])
    infrared = write_tiff(tmp_path / "rgbn.tif", stored, photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(read_image(infrared), stored[..., :3])


def test_an_8_bit_copy_is_refused_where_white_is_beyond_its_values(tmp_path: Path) -> None:
    Image.fromarray(twin(values(3))).save(tmp_path / "copy.png")
    with pytest.raises(DataError, match=r"8 bits a channel, whose values end at 255, and white is 4095 here"):
        read_image(tmp_path / "copy.png", COLOUR)
    each = ImageReading(bands=(1, 2, 3), range=ValueRange(percentiles=(0, 100)))
    np.testing.assert_array_equal(read_image(tmp_path / "copy.png", each), twin(values(3)))


@pytest.mark.parametrize("damage", ["cut", "checksum", "several", "volume"])
def test_damaged_and_several_pictures_are_refused_with_the_name(tmp_path: Path, damage: str) -> None:
    path = write_png(tmp_path / "image.png", values(3))
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "checksum":
        content[60] ^= 255
        path.write_bytes(content)
    else:
        path = tmp_path / "image.tif"
        stack = np.moveaxis(values(3), 2, 0)
        options = {"imagej": True, "metadata": {"axes": "ZYX"}} if damage == "volume" else {"metadata": None}
        tifffile.imwrite(path, stack, photometric="minisblack", **options)
    with pytest.raises(DataError, match=r"image\.(png|tif) cannot be read"):
        read_image(path, GREY)


def test_a_cut_tiff_is_refused(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "image.tif", values(3), photometric="rgb", compression="zlib")
    content = path.read_bytes()
    for part in (0.3, 0.7, 0.98):
        path.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(DataError, match=r"image\.tif cannot be read"):
            read_image(path, COLOUR)


@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_lzw_is_unpacked_without_imagecodecs(tmp_path: Path, bands: int, dtype: str) -> None:
    rasterio = pytest.importorskip("rasterio")
    stored, path = values(bands, dtype), tmp_path / "image.tif"
    photometric, predictor = "minisblack" if bands == 1 else "rgb", 3 if dtype == "float32" else 2
    with rasterio.open(
        path, "w", driver="GTiff", dtype=dtype, count=bands, height=SHAPE[0], width=SHAPE[1], compress="lzw",
        predictor=predictor, interleave="pixel", photometric=photometric, transform=rasterio.Affine(1, 0, 5, 0, -1, 5),
    ) as file:  # fmt: skip
        file.write(np.moveaxis(stored, 2, 0))
    np.testing.assert_array_equal(read_bands(path, read_facts(path)), stored)


def test_what_no_library_here_unpacks_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiff(tmp_path / "image.tif", values(1), photometric="minisblack", compression="zlib")

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("<COMPRESSION.ZSTD: 50000> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    monkeypatch.setattr(tiff, "_OPENCV_UNPACKS", ())
    monkeypatch.setitem(__import__("sys").modules, "rasterio.io", None)
    with pytest.raises(DataError, match="requires the 'imagecodecs' package; install imagecodecs"):
        read_image(path, GREY)


def test_twelve_bits_without_gaps_are_what_was_stored(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    stored = values(1)[:, : SHAPE[1] // 2 * 2, 0].astype(np.uint16)
    height, width = stored.shape
    bits = np.unpackbits(stored.astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)[:, 4:]
    data = np.packbits(bits).tobytes()
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path = tmp_path / "image.tif"
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(tags)) + listed + bytes(4)
    )
    # Why OpenCV is not asked.
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), stored * 16)
    np.testing.assert_array_equal(read_bands(path, read_facts(path))[..., 0], stored)


def test_bands_that_tifffile_writes_as_pages_are_refused_as_several_pictures(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, values(4).astype(np.uint8), photometric="minisblack")
    with pytest.raises(DataError, match=rf"image\.tif cannot be read: it holds {SHAPE[0]} pictures, not one"):
        read_image(path)


def test_opencv_agrees_on_the_deep_png_that_is_written_here(tmp_path: Path) -> None:
    found = cv2.imread(str(write_png(tmp_path / "image.png", values(3))), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found[..., ::-1], values(3))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"bands": [1, 2], "range": {"low": 0, "high": 9}}, "one band, shown in grey, or three"),
        ({"bands": [0], "range": {"low": 0, "high": 9}}, "greater than or equal to 1"),
        ({"bands": [1], "range": {"low": 9, "high": 9}}, "from a smaller number to a larger"),
        ({"bands": [1], "range": {"low": 0, "high": float("nan")}}, "from a smaller number to a larger"),
        ({"bands": [1], "range": {"low": 0}}, "give low and high"),
        ({"bands": [1], "range": {"low": 0, "high": 9, "percentiles": [1, 99]}}, "give low and high"),
        ({"bands": [1], "range": {"percentiles": [-1, 99]}}, "between 0 and 100"),
        ({"bands": [1]}, "Field required"),
    ],
)
def test_a_reading_that_makes_no_sense_is_refused(content: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ImageReading.model_validate(content)
