"""Write what an importer found as a dataset: files, card and splits."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from naslora_core.data.curation.quarantine_record import QUARANTINE_FOLDER, read_quarantine
from naslora_core.data.dataset.card import (
    CARD_FILE,
    DatasetCard,
    SplitRule,
    explain,
    read_card,
    write_card,
)
from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER, Dataset, list_images, read_dataset
from naslora_core.data.dataset.names import one_form
from naslora_core.data.dataset.splits import write_splits
from naslora_core.data.importers.assign_splits import assign_splits
from naslora_core.data.importers.base import Found, ImportRequest, Source
from naslora_core.data.importers.image_range import with_image_reading
from naslora_core.data.importers.painting.paint_report import PaintReport
from naslora_core.data.importers.write_pair import write_pair
from naslora_core.errors import DataError
from naslora_core.files import atomic_directory
from naslora_core.progress import Progress, silent


def check_free(target: Path, replace_existing: bool) -> None:
    """Refuse, before anything is read, a place that is taken.

    Raises:
        DataError: if `target` exists and is not to be replaced.
    """
    if target.exists() and not replace_existing:
        raise DataError(f"{target} exists already; choose another --name, --replace it, or --add to it")


def import_dataset(
    found: Found,
    request: ImportRequest,
    target: Path,
    replace_existing: bool = False,
    pairs_only: bool = False,
    progress: Progress = silent,
    report: PaintReport | None = None,
) -> Dataset:
    """Copy what an importer found into `target`, files byte for byte, and write its card and splits.

    Images that `target` already had keep their group, and the split that was drawn for them if the rule is the
    same, so that growing a dataset never moves an image from training to testing. Pairs in quarantine stay there.

    Args:
        found: what the importer of the layout returned for `request`.
        request: where from, and how to draw the splits.
        target: data/<domain>; its last part becomes the name.
        replace_existing: take the place of a dataset that is there already.
        pairs_only: leave out images without a mask and masks without an image.
        progress: called after each pair, and after each image that is compared with the others.
        report: counts what becomes of the objects that masks are painted from.

    Raises:
        DataError: if `target` exists, there is nothing to import, two pairs have one name, or nothing says how
            images of more than 8 bits, or of other bands than colours, are to be read.
    """
    check_free(target, replace_existing)
    held = {pair.name for pair in read_quarantine(target)}
    wanted = wanted_sources(found, request, pairs_only)
    found = replace(found, sources=tuple(source for source in wanted if source.name not in held))
    check_sources(found, request)
    found = with_image_reading(found, request, target, progress)
    # Splits that cannot be drawn, and names that no card can hold, are an error before anything is copied.
    card = card_of(found, assign_splits(found.sources, request, target, images={}).rule, target)
    with atomic_directory(target) as folder:
        for kind in (IMAGES_FOLDER, MASKS_FOLDER):
            (folder / kind).mkdir()
        written: list[Source] = []
        for done, source in enumerate(found.sources, start=1):
            written += [source] * write_pair(source, folder, request, card, report=report)
            progress(done, len(found.sources), f"import {target.name}")
        if not any(source.image for source in written):
            raise DataError(f"{request.folder}: all {len(found.sources)} pairs were left out; nothing was imported")
        images, masks = (list_images(folder / kind) for kind in (IMAGES_FOLDER, MASKS_FOLDER))
        assigned = assign_splits(written, request, target, images, progress, masks, card)
        write_card(folder, card_of(replace(found, sources=tuple(written)), assigned.rule, target))
        write_splits(folder, assigned.splits, assigned.groups)
        if held:
            shutil.copytree(target / QUARANTINE_FOLDER, folder / QUARANTINE_FOLDER)
    return read_dataset(target)


def wanted_sources(found: Found, request: ImportRequest, pairs_only: bool) -> list[Source]:
    """Return what was found, its names in one Unicode form; with `pairs_only` without files that have no partner."""
    return [
        replace(one, name=one_form(one.name))
        for one in found.sources
        if not pairs_only or (one.image is not None and (one.mask is not None or request.bare_is_empty))
    ]


def check_sources(found: Found, request: ImportRequest) -> None:
    """Raise DataError if there is no image, two have one name, or a name cannot be that of a file."""
    if not any(source.image for source in found.sources):
        raise DataError(f"{request.folder} holds no image with a mask; nothing was imported")
    name, count = Counter(source.name for source in found.sources).most_common(1)[0]
    if count > 1:
        raise DataError(f"{request.folder} has {count} images called '{name}'; rename all but one")
    for name in (source.name for source in found.sources):
        if not name or name.startswith(".") or "/" in name or "\\" in name or not name.isprintable():
            raise DataError(f"{request.folder} has an image called {name!r}, which cannot be a file's name; rename it")


def card_of(found: Found, rule: SplitRule, target: Path) -> DatasetCard:
    """Return the card of what was found; copies that the dataset in `target` accepts stay accepted.

    Raises:
        DataError: if a name or a value cannot be written down.
    """
    names = {source.name for source in found.sources}
    earlier = read_card(target).accepted_copies if (target / CARD_FILE).is_file() else ()
    try:
        return DatasetCard(
            name=target.name,
            title=found.title,
            classes=found.classes,
            mask_threshold=found.mask_threshold,
            mask_values=dict(found.mask_values) if found.mask_values else None,
            mask_ignore=found.mask_ignore or None,
            mask_reading=found.reading,
            image=found.image,
            split=rule,
            accepted_copies=tuple(
                pair for pair in dict.fromkeys((*found.accepted_copies, *earlier)) if names.issuperset(pair)
            ),
            licence=found.licence,
            citation=found.citation,
            source=found.origin,
        )
    except ValidationError as error:
        raise DataError(
            f"{target}: what was found cannot be written down, {explain(error)}; rename it there"
        ) from error
