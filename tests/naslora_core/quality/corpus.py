"""A corpus of bad and unusual input: how to make it, and which checks of the gate must fail.

Each entry spoils, or only varies, the pair of its own name in a dataset that is otherwise flawless.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (64, 80)  # H, W
Spoil = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Entry:
    """One kind of input; `checks` are the expectations that fail, as "severity name file-kind".

    `needs_user` says that it does no harm to root.
    """

    name: str
    spoil: Spoil
    checks: tuple[str, ...] = ()
    needs_user: bool = False


def draw(seed: int) -> np.ndarray:
    """Return (H, W, 3) uint8, a picture of smooth blobs with a fine texture."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(30, 225, (7, 8, 3), dtype=np.uint8)).resize(
        SIZE[::-1], Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(coarse).astype(int) + rng.integers(-12, 12, (*SIZE, 3)), 5, 250).astype(np.uint8)


def draw_mask() -> np.ndarray:
    """Return (H, W) uint8, a disc of 255."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return (np.hypot(y - 30, x - 40) < 18).astype(np.uint8) * 255


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> None:
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)


def on(kind: str) -> Callable[[Callable[[Path], None]], Spoil]:
    """Return a function that applies a change of one file to the image or the mask of a pair."""
    return lambda change: lambda image, mask: change(image if kind == "image" else mask)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def break_checksum(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 4 + struct.unpack(">I", content[content.index(b"IDAT") - 4 :][:4])[0]] ^= 1
    path.write_bytes(content)


def bomb(path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def frames(path: Path, kind: str) -> None:
    first, *others = (Image.fromarray(draw(seed)) for seed in (1, 2, 3))
    buffer = io.BytesIO()
    first.save(buffer, format=kind, save_all=True, append_images=others)
    path.write_bytes(buffer.getvalue())


def float_tiff(path: Path) -> None:
    pixels = draw_mask().astype(np.float32)
    pixels[3, 4] = np.nan
    path.unlink()
    Image.fromarray(pixels).save(path.with_suffix(".tif"))


def turn(image: Path, mask: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(draw(77))).save(image, exif=exif)


def exchange(image: Path, mask: Path) -> None:
    first, second = image.read_bytes(), mask.read_bytes()
    image.write_bytes(second)
    mask.write_bytes(first)


def replace_by(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def alpha_mask(path: Path) -> None:
    Image.merge("LA", (Image.fromarray(draw_mask()), Image.new("L", SIZE[::-1], 255))).save(path)


def palette_mask(path: Path) -> None:
    picture = Image.fromarray(draw_mask() // 255).convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0] + [7] * 762)
    picture.save(path)


def palette_of_256(path: Path) -> None:
    picture = Image.fromarray(draw_mask())
    picture.putpalette(bytes(value for index in range(256) for value in (index, 0, 0)))
    picture.save(path)


def cmyk_mask(path: Path) -> None:
    path.unlink()
    save(path.with_suffix(".jpg"), np.stack([draw(60)[..., channel] for channel in (0, 1, 2)], 2), "CMYK")


def one_colour_with_alpha(path: Path) -> None:
    pixels = np.full((*SIZE, 4), 200, np.uint8)
    pixels[..., 3] = draw_mask()
    save(path, pixels)


def one_palette_index(path: Path) -> None:
    picture = Image.fromarray(np.full(SIZE, 3, np.uint8))
    picture.putpalette([0, 0, 0, 1, 1, 1, 2, 2, 2, 40, 90, 140])
    picture.save(path)


def of_one_grey(path: Path) -> None:
    """Write two colours that are the same grey: the picture varies, and its grey levels do not."""
    pixels = np.full((*SIZE, 3), (76, 76, 76), np.uint8)
    pixels[::2] = (255, 0, 0)
    save(path, pixels)


def broken_jpeg_table(path: Path) -> None:
    path.unlink()
    jpeg = path.with_suffix(".jpg")
    save(jpeg, draw(61))
    content = bytearray(jpeg.read_bytes())
    content[content.index(b"\xff\xc4") + 5 : content.index(b"\xff\xc4") + 25] = b"\xff" * 20
    jpeg.write_bytes(content)


def wrong_length(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"IDAT") - 4
    content[place : place + 4] = struct.pack(">I", 0x7FFFFFFF)
    path.write_bytes(content)


def no_size(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[16:24] = bytes(8)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def tiff_without_pixels(path: Path) -> None:
    path.unlink()
    path.with_suffix(".tif").write_bytes(b"II*\0\x08\0\0\0\0\0\0\0\0\0")


image, mask = on("image"), on("mask")
IMAGE_OPENS, MASK_OPENS = "critical image_opens image", "critical mask_opens mask"
GREY = "warning two_values mask"
# One line an entry reads as a table.
# ruff: noqa: E501
ENTRIES = [
    Entry("truncated_png_image", image(truncate), (IMAGE_OPENS,)),
    Entry("truncated_jpeg_image", image(lambda p: (p.unlink(), save(p.with_suffix(".jpg"), draw(50)), truncate(p.with_suffix(".jpg")))), (IMAGE_OPENS,)),
    Entry("truncated_mask", mask(lambda p: p.write_bytes(p.read_bytes()[:60])), (MASK_OPENS,)),
    Entry("wrong_checksum", image(break_checksum), (IMAGE_OPENS,)),
    Entry("wrong_checksum_mask", mask(break_checksum), (MASK_OPENS,)),
    Entry("no_bytes", image(lambda p: p.write_bytes(b"")), (IMAGE_OPENS,)),
    Entry("no_bytes_mask", mask(lambda p: p.write_bytes(b"")), (MASK_OPENS,)),
    Entry("text", image(lambda p: p.write_text("a picture of a leaf")), (IMAGE_OPENS,)),
    Entry("svg", image(lambda p: p.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")), (IMAGE_OPENS,)),
    Entry("heic", image(lambda p: p.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))), (IMAGE_OPENS,)),
    Entry("gif_animation", image(lambda p: frames(p, "GIF")), (IMAGE_OPENS,)),
    Entry("png_animation", image(lambda p: frames(p, "PNG")), (IMAGE_OPENS,)),
    Entry("pages", image(lambda p: frames(p, "TIFF")), (IMAGE_OPENS,)),
    Entry("header_bomb", image(bomb), (IMAGE_OPENS,)),
    Entry("header_bomb_mask", mask(bomb), (MASK_OPENS,)),
    Entry("folder", image(replace_by(Path.mkdir)), (IMAGE_OPENS,)),
    Entry("named_pipe", image(replace_by(os.mkfifo)), (IMAGE_OPENS,)),
    Entry("link_circle", image(replace_by(lambda p: p.symlink_to(p.name))), (IMAGE_OPENS,)),
    Entry("not_permitted", image(lambda p: p.chmod(0)), (IMAGE_OPENS,), needs_user=True),
    Entry("not_permitted_mask", mask(lambda p: p.chmod(0)), (MASK_OPENS,), needs_user=True),
    Entry("dangling_link", mask(replace_by(lambda p: p.symlink_to("nowhere.png"))), (MASK_OPENS,)),
    Entry("deep_image", image(lambda p: save(p, draw(51)[..., 0].astype(np.uint16) * 256)), (IMAGE_OPENS,)),
    Entry("not_a_number", mask(float_tiff), (MASK_OPENS,)),
    Entry("missing_mask", mask(Path.unlink), ("critical mask_present image",)),
    Entry("missing_image", image(Path.unlink), ("critical image_present mask",)),
    Entry("one_pixel_off", mask(lambda p: save(p, draw_mask()[:, 1:])), ("critical same_size mask",)),
    Entry("mask_of_another_size", mask(lambda p: save(p, draw_mask()[::2, ::2])), ("critical same_size mask",)),
    Entry("single_pixel", lambda i, m: (save(i, draw(52)[:1, :1]), save(m, draw_mask()[30:31, 40:41])),
          ("critical large_enough image", "critical image_varies image", "warning object_size mask", "warning sharp image")),
    Entry("one_colour", image(lambda p: save(p, np.full((*SIZE, 3), 90, np.uint8))), ("critical image_varies image", "warning sharp image")),
    Entry("exchanged", exchange, ("critical mask_is_no_photograph mask", "warning exposed_dark image", GREY)),
    Entry("all_marked", mask(lambda p: save(p, draw_mask() | 255)), ("warning object_size mask",)),
    Entry("speck", mask(lambda p: save(p, np.eye(*SIZE, dtype=np.uint8)[:1].repeat(64, 0) * 0 + np.pad([[255]], ((9, 54), (9, 70))).astype(np.uint8))), ("warning object_size mask",)),
    Entry("nothing_marked", mask(lambda p: save(p, draw_mask() * 0))),
    Entry("value_3", mask(lambda p: save(p, np.where(np.arange(80) < 9, 3, draw_mask()).astype(np.uint8))), (GREY,)),
    Entry("mask_in_jpeg", mask(lambda p: (p.unlink(), save(p.with_suffix(".jpg"), draw_mask()))), (GREY,)),
    Entry("blurred", image(lambda p: save(p, np.asarray(Image.fromarray(draw(53)).resize((3, 3)).resize(SIZE[::-1], 2)))), ("warning sharp image",)),
    Entry("black", image(lambda p: save(p, np.where(np.arange(80)[:, None] < 60, 0, draw(54)).astype(np.uint8))), ("warning exposed_dark image",)),
    Entry("white", image(lambda p: save(p, np.where(np.arange(80)[:, None] < 60, 255, draw(55)).astype(np.uint8))), ("warning exposed_bright image",)),
    Entry("turned_by_exif", turn, ("warning image_upright image",)),
    Entry("link_out", lambda i, m: (i.rename(i.parents[2] / "elsewhere.png"), i.symlink_to(i.parents[2] / "elsewhere.png")), ("warning image_inside image",)),
    Entry("deep_mask", mask(lambda p: save(p, draw_mask().astype(np.uint16) * 257))),
    Entry("palette_mask_in_red", mask(palette_mask)),
    Entry("palette_mask_of_256_colours", mask(palette_of_256)),
    Entry("mask_with_alpha", mask(alpha_mask)),
    Entry("mask_of_one_bit", mask(lambda p: save(p, draw_mask(), "1"))),
    Entry("rgba", image(lambda p: save(p, draw(56), "RGBA"))),
    Entry("grey", image(lambda p: save(p, draw(57), "L"))),
    Entry("palette", image(lambda p: save(p, draw(58), "P"))),
    Entry("cmyk", image(lambda p: (p.unlink(), save(p.with_suffix(".jpg"), draw(59), "CMYK")))),
    Entry("jfif", image(lambda p: (p.unlink(), Image.fromarray(draw(62)).save(p.with_suffix(".jfif"), "JPEG")))),
    Entry("web_page", image(lambda p: p.write_text("<!DOCTYPE html><title>404 Not Found</title>")), (IMAGE_OPENS,)),
    Entry("pointer_of_git_lfs", image(lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")), (IMAGE_OPENS,)),
    Entry("pointer_of_git_lfs_mask", mask(lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")), (MASK_OPENS,)),
    Entry("pdf", image(lambda p: p.write_bytes(b"%PDF-1.7\n%%EOF")), (IMAGE_OPENS,)),
    Entry("camera_raw", image(lambda p: p.write_bytes(b"II*\0\x10\0\0\0CR\x02\0" + bytes(99))), (IMAGE_OPENS,)),
    Entry("array_of_numpy_mask", mask(lambda p: np.save(p.open("wb"), draw_mask())), (MASK_OPENS,)),
    Entry("json_mask", mask(lambda p: p.write_text('{"shapes": []}')), (MASK_OPENS,)),
    Entry("pages_mask", mask(lambda p: frames(p, "TIFF")), (MASK_OPENS,)),
    Entry("folder_mask", mask(replace_by(Path.mkdir)), (MASK_OPENS,)),
    Entry("named_pipe_mask", mask(replace_by(os.mkfifo)), (MASK_OPENS,)),
    Entry("broken_jpeg_table", image(broken_jpeg_table), (IMAGE_OPENS,)),
    Entry("wrong_length_of_a_chunk", image(wrong_length), (IMAGE_OPENS,)),
    Entry("no_width_and_height", image(no_size), (IMAGE_OPENS,)),
    Entry("tiff_without_pixels", image(tiff_without_pixels), (IMAGE_OPENS,)),
    Entry("tiff_without_pixels_mask", mask(tiff_without_pixels), (MASK_OPENS,)),
    Entry("one_colour_with_alpha", image(one_colour_with_alpha), ("critical image_varies image", "warning sharp image")),
    Entry("one_palette_index", image(one_palette_index), ("critical image_varies image", "warning sharp image")),
    Entry("two_colours_of_one_grey", image(of_one_grey), ("warning sharp image",)),
    Entry("mask_turned", mask(lambda p: save(p, draw_mask().T)), ("critical same_size mask",)),
    Entry("mask_is_the_image", lambda i, m: m.write_bytes(i.read_bytes()), ("critical mask_is_no_photograph mask", GREY)),
    Entry("cmyk_mask", mask(cmyk_mask), ("critical mask_is_no_photograph mask", GREY)),
    Entry("upper_case", lambda i, m: (i.rename(i.with_suffix(".PNG")), m.rename(m.with_suffix(".PNG")))),
]  # fmt: skip
