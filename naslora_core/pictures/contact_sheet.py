"""Draw a contact sheet of a dataset: images of every split with the outlines of their masks."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Dataset, Pair
from naslora_core.data.dataset.encoding import decode_mask
from naslora_core.data.dataset.ignored import without_ignored
from naslora_core.data.dataset.image_files.images import read_image
from naslora_core.data.dataset.splits import SPLITS
from naslora_core.data.prepared.prepared import evenly_spaced
from naslora_core.errors import DataError
from naslora_core.files import atomic_file
from naslora_core.pictures.overlays import (
    GAP_PX,
    IGNORED_COLOUR,
    PANEL_SIDE_PX,
    TRUTH_COLOUR,
    class_colour,
    contours_of,
    panel,
)

COLUMNS = 5
_PAPER, _INK, _EMPTY = (250, 250, 250), (30, 32, 38), (224, 226, 230)
_CAPTION_PX, _TEXT_PX = 26, 16


def write_contact_sheet(path: Path, dataset: Dataset, count: int, name_splits: bool = True) -> list[str]:
    """Write a PNG (or .jpg) with panels of `count` pairs, evenly spread over the names of each split.

    Pairs that cannot be shown have an empty panel that says why. Images of less than half a panel are enlarged.

    Args:
        path: where it goes.
        dataset: the pairs.
        count: how many pairs, about.
        name_splits: write the split before the name; False where none is drawn yet.

    Returns:
        The names of the pairs, as they stand on the sheet.
    """
    chosen = choose_pairs(dataset, count)
    width, height = PANEL_SIDE_PX + GAP_PX, PANEL_SIDE_PX + _CAPTION_PX + GAP_PX
    rows = -(-len(chosen) // COLUMNS)
    size = (min(COLUMNS, len(chosen)) * width + GAP_PX, rows * height + _CAPTION_PX + 2 * GAP_PX)
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT_PX)
    _write_legend(draw, font, dataset.card)
    for place, pair in enumerate(chosen):
        left, top = GAP_PX + place % COLUMNS * width, 2 * GAP_PX + _CAPTION_PX + place // COLUMNS * height
        picture = _picture(pair, dataset.card)
        sheet.paste(picture, (left + (PANEL_SIDE_PX - picture.width) // 2, top))
        draw.text((left, top + PANEL_SIDE_PX + 2), (f"{pair.split}  " * name_splits + pair.name)[:44], _INK, font)
    with atomic_file(path) as temporary:
        if path.suffix == ".jpg":
            sheet.save(temporary, format="JPEG", quality=90)
        else:
            sheet.save(temporary, format="PNG", optimize=True)
    return [pair.name for pair in chosen]


def choose_pairs(dataset: Dataset, count: int) -> list[Pair]:
    """Return about `count` pairs, split by split in proportion to its size, at least one of each non-empty split."""
    chosen: list[Pair] = []
    for split in SPLITS:
        pairs = dataset.of_split(split)
        chosen += evenly_spaced(pairs, max(1, round(count * len(pairs) / len(dataset.pairs))))
    return chosen


def _picture(pair: Pair, card: DatasetCard) -> Image.Image:
    try:
        if pair.image is None or pair.mask is None:
            raise DataError(f"has no {'image' if pair.image is None else 'mask'}")
        image, ids = read_image(pair.image, card.image), decode_mask(pair.mask, card).ids
        if image.shape[:2] != ids.shape:
            raise DataError("image and mask differ in size")
    except DataError as error:
        empty = Image.new("RGB", (PANEL_SIDE_PX, PANEL_SIDE_PX), _EMPTY)
        reason = str(error).rpartition("/")[2][:44]
        ImageDraw.Draw(empty).text((12, PANEL_SIDE_PX // 2), reason, _INK, ImageFont.load_default(_TEXT_PX))
        return empty
    factor = max(1, PANEL_SIDE_PX // max(ids.shape))
    image, ids = (pixels.repeat(factor, axis=0).repeat(factor, axis=1) for pixels in (image, ids))
    ids, ignored = without_ignored(ids)
    return panel(image, contours_of(ids) if card.classes[1:] else [(ids, TRUTH_COLOUR)], ignored)


def _legend(card: DatasetCard) -> list[tuple[str, tuple[int, int, int]]]:
    colours = map(class_colour, range(1, len(card.classes) + 1)) if card.classes[1:] else [TRUTH_COLOUR]
    return [*zip(card.classes, colours, strict=True), *([("not labelled", IGNORED_COLOUR)] if card.mask_ignore else [])]


def _write_legend(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, card: DatasetCard
) -> None:
    left = float(GAP_PX)
    draw.text((left, GAP_PX), card.name, _INK, font)
    left += font.getlength(card.name) + 24
    for name, colour in _legend(card):
        draw.rectangle((left, GAP_PX + 2, left + _TEXT_PX, GAP_PX + 2 + _TEXT_PX), fill=colour)
        draw.text((left + _TEXT_PX + 6, GAP_PX), name, _INK, font)
        left += _TEXT_PX + font.getlength(name) + 24
