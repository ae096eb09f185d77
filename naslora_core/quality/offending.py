"""Write the failing files as a CSV table, and the first failing pairs as a contact sheet."""

import csv
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from naslora_core.data.dataset.dataset import Dataset, Pair
from naslora_core.data.dataset.encoding import decode_mask
from naslora_core.data.dataset.ignored import is_foreground, without_ignored
from naslora_core.data.dataset.image_files.images import read_image
from naslora_core.errors import DataError
from naslora_core.files import atomic_file
from naslora_core.quality.verdict import Verdict

_TILE_PX, _CAPTION_PX, _PER_ROW, _MOST = 200, 60, 6, 24
_MARKED_RGB, _OPACITY = (255, 0, 160), 0.45
_IGNORED_RGB = (128, 128, 128)


def write_offending(path: Path, verdict: Verdict) -> None:
    """Write every failing file with severity, check and reason as CSV, atomically; only a header if none fails."""
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file", "severity", "check", "problem"])
        for failure in verdict.failures:
            for entry in failure.files:
                writer.writerow([entry.file, failure.severity, failure.expectation, entry.problem])


def write_contact_sheet(path: Path, verdict: Verdict, dataset: Dataset) -> None:
    """Draw the first failing pairs, critical before warning: the image, its mask laid over it, and the reason.

    What nobody labelled is laid over in grey.
    What cannot be read is a grey tile. Without failing files the sheet is one empty tile.
    """
    reasons = _reasons(verdict)
    pairs = {pair.name: pair for pair in dataset.pairs}
    tiles = [_tile(pairs.get(name), f"{name}: {reason}", dataset) for name, reason in reasons.items()]
    rows = max(1, -(-len(tiles) // _PER_ROW))
    columns = max(1, min(len(tiles), _PER_ROW))
    sheet = Image.new("RGB", (columns * _TILE_PX, rows * (_TILE_PX + _CAPTION_PX)), "white")
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % _PER_ROW * _TILE_PX, place // _PER_ROW * (_TILE_PX + _CAPTION_PX)))
    with atomic_file(path) as temporary:
        sheet.save(temporary, format="PNG")


def _reasons(verdict: Verdict) -> Mapping[str, str]:
    reasons: dict[str, str] = {}
    for severity in ("critical", "warning"):
        for failure in verdict.of_severity(severity):
            for entry in failure.files:
                if len(reasons) < _MOST:
                    reasons.setdefault(Path(entry.file).stem, entry.problem)
    return reasons


def _tile(pair: Pair | None, caption: str, dataset: Dataset) -> Image.Image:
    tile = Image.new("RGB", (_TILE_PX, _TILE_PX + _CAPTION_PX), "white")
    if picture := _picture(pair, dataset):
        picture.thumbnail((_TILE_PX - 4, _TILE_PX - 4))
        tile.paste(picture, (2, 2))
    else:
        tile.paste((200, 200, 200), (2, 2, _TILE_PX - 2, _TILE_PX - 2))
        ImageDraw.Draw(tile).text((10, _TILE_PX // 2), "cannot be shown", fill="black")
    lines = textwrap.wrap(caption.encode("latin-1", "replace").decode("latin-1"), 32)[:4]
    ImageDraw.Draw(tile).text((4, _TILE_PX), "\n".join(lines), fill="black")
    return tile


def _picture(pair: Pair | None, dataset: Dataset) -> Image.Image | None:
    try:
        pixels = read_image(pair.image, dataset.card.image) if pair and pair.image else None
    except DataError:
        return None
    if pixels is None or pair is None or pair.mask is None:
        return None if pixels is None else Image.fromarray(pixels)
    try:
        ids = decode_mask(pair.mask, dataset.card).ids
    except DataError:
        return Image.fromarray(pixels)
    if ids.shape != pixels.shape[:2]:
        return Image.fromarray(pixels)
    pixels = pixels.copy()
    for area, colour in ((is_foreground(ids), _MARKED_RGB), (without_ignored(ids)[1], _IGNORED_RGB)):
        if area is not None:
            blend = (1 - _OPACITY) * pixels[area] + _OPACITY * np.array(colour)
            pixels[area] = blend.astype(np.uint8)
    return Image.fromarray(pixels)
