"""Show how an import reads the masks: a table of what each value means, and a contact sheet."""

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from naslora_core.data.importers import Found, Source
    from naslora_core.data.importers.painting.paint_report import PaintReport
    from naslora_core.data.importers.reading.understood import Understood

# Beside the domains, and left out of every data version by .dvcignore.
READINGS_FOLDER = ".readings"
_PANELS, _ROWS = 5, 40


def print_reading(understood: "Understood") -> None:
    """Print what kind of masks they are, and a line for each value or colour: meaning, pixels, share, images."""
    from naslora_core.data.importers.reading.understood import share

    typer.echo(f"Masks: {understood.kind} ({understood.files} files; mask_reading: {understood.reading})")
    rows = [
        (row.written, row.meaning, f"{row.pixels:,}", share(row.pixels, understood.total_px), f"{row.images}")
        for row in understood.meanings[:_ROWS]
    ]
    _print_rows(("value", "meaning", "pixels", "share", "images"), rows, len(understood.meanings) - _ROWS)


def print_painted(report: "PaintReport", classes: "Sequence[str]") -> None:
    """Print how many objects were painted, and a line for each class: pixels, share, images."""
    from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID
    from naslora_core.data.importers.legends.legend import NOT_LABELLED
    from naslora_core.data.importers.reading.understood import share

    if not report.pixels:
        return
    typer.echo(f"Masks: painted from {report.objects:,} objects")
    names = dict(enumerate((BACKGROUND, *classes))) | ({IGNORED_ID: NOT_LABELLED} if report.pixels[IGNORED_ID] else {})
    total = report.pixels.total()
    rows = [
        (
            f"{number}",
            name,
            f"{report.pixels[number]:,}",
            share(report.pixels[number], total),
            f"{report.images[number]}",
        )
        for number, name in names.items()
    ]
    _print_rows(("id", "meaning", "pixels", "share", "images"), rows[:_ROWS], len(rows) - _ROWS)


def _print_rows(header: "Sequence[str]", rows: "Sequence[Sequence[str]]", more: int) -> None:
    widths = [max(len(line[place]) for line in (header, *rows)) for place in range(len(header))]
    for line in (header, *rows):
        cells = [
            f"{cell:<{width}}" if place < 2 else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        typer.echo("  " + "  ".join(cells).rstrip())
    if more > 0:
        typer.echo(f"  … and {more} more values")


def write_reading_sheet(path: Path, found: "Found", name: str) -> Path:
    """Write a JPEG of a few pairs with the outlines of their masks, as they will be read; return its path.

    Raises:
        DataError: if a name of a class cannot be written into a card, or no mask of those looked at can be painted.
    """
    from naslora_core.data.dataset.card import SplitRule
    from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER, Dataset, Pair, list_images
    from naslora_core.data.importers.import_dataset import card_of
    from naslora_core.data.importers.painting.objects import ObjectMask
    from naslora_core.data.importers.write_pair import write_pixels
    from naslora_core.errors import DataError
    from naslora_core.pictures.contact_sheet import write_contact_sheet

    rule = SplitRule(kind="random", seed=0, train=1, validation=0, test=0)
    with tempfile.TemporaryDirectory(prefix="naslora-") as folder:
        root = Path(folder) / name
        chosen = _choose(found)
        for kind in (IMAGES_FOLDER, MASKS_FOLDER):
            (root / kind).mkdir(parents=True)
        for source in chosen:
            # What cannot be painted is told where all masks are.
            with source.mask.left_out.taking() if isinstance(source.mask, ObjectMask) else nullcontext():
                write_pixels(source.mask, root / MASKS_FOLDER, source.name, is_mask=True)
                write_pixels(source.image, root / IMAGES_FOLDER, source.name, is_mask=False)
        images, masks = list_images(root / IMAGES_FOLDER), list_images(root / MASKS_FOLDER)
        pairs = tuple(
            Pair(one.name, images[one.name], masks[one.name], one.split or "train")
            for one in chosen
            if one.name in images and one.name in masks
        )
        if not pairs:
            raise DataError(f"none of the {len(chosen)} masks that were looked at can be painted; nothing was imported")
        write_contact_sheet(path, Dataset(root, card_of(found, rule, root), pairs), len(pairs), name_splits=False)
    return path


def _choose(found: "Found") -> "list[Source]":
    """Return a few whole pairs: some that show the rarest values, the others evenly spread."""
    from naslora_core.data.prepared.prepared import evenly_spaced

    whole = [source for source in found.sources if source.image is not None and source.mask is not None]
    of_mask = {source.mask: source for source in whole if isinstance(source.mask, Path)}
    examples = found.understood.examples if found.understood else ()
    rare = [of_mask[path] for path in examples if path in of_mask][: _PANELS // 2]
    spread = evenly_spaced([source for source in whole if source not in rare], _PANELS - len(rare))
    return sorted([*rare, *spread], key=lambda source: source.name)
