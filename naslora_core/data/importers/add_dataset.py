"""Add what an importer found to a dataset that exists: several exports of one project make one domain."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from naslora_core.data.curation.quarantine_record import QUARANTINE_FOLDER, read_quarantine
from naslora_core.data.dataset.card import CARD_FILE, IGNORED_ID, DatasetCard, write_card
from naslora_core.data.dataset.dataset import (
    IMAGES_FOLDER,
    MASKS_FOLDER,
    Dataset,
    file_digest,
    is_packed,
    list_images,
    read_dataset,
)
from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.data.dataset.groups import find_duplicates, join_groups
from naslora_core.data.dataset.splits import SPLITS_FILE, complete_splits, write_splits
from naslora_core.data.importers.base import Found, ImportRequest, Pixels, Source
from naslora_core.data.importers.image_range import with_image_reading
from naslora_core.data.importers.import_dataset import card_of, check_sources, wanted_sources
from naslora_core.data.importers.joined_classes import joined_card
from naslora_core.data.importers.painting.paint_report import PaintReport
from naslora_core.data.importers.write_pair import painted, write_pair
from naslora_core.errors import ConfigError, DataError
from naslora_core.files import atomic_directory
from naslora_core.progress import Progress, silent


def check_addable(target: Path) -> None:
    """Refuse, before anything is read, what nothing can be added to.

    Raises:
        DataError: if `target` is no dataset, or a packed one.
    """
    if not (target / CARD_FILE).is_file():
        raise DataError(f"{target} is no dataset to add to; import it without --add first, or correct --name")
    if is_packed(target):
        raise DataError(f"{target} is packed; naslora data unpack {target.name} --in-place first")


def add_dataset(
    found: Found,
    request: ImportRequest,
    target: Path,
    prefix: str,
    pairs_only: bool = False,
    progress: Progress = silent,
    report: PaintReport | None = None,
) -> tuple[Dataset, tuple[str, ...]]:
    """Add new pairs to the dataset in `target`, whose files, splits and groups stay as they are.

    Classes are matched by name; those that the dataset has not get the next free values. Masks of another encoding are
    converted to that of the dataset. If names repeat, `prefix` goes before every new one; an image that is there
    already, the same file, is left out. Either all is written or nothing.

    Args:
        found: what the importer of the layout returned for `request`.
        request: where from.
        target: the dataset.
        prefix: tells names apart, as that of the export does.
        pairs_only: leave out images without a mask and masks without an image.
        progress: called after each pair, and after each image that is compared with the others.
        report: counts what becomes of the objects that masks are painted from.

    Returns:
        The dataset, and notes on what was decided.

    Raises:
        DataError: if `target` is no dataset or a packed one, there is nothing to add, or its masks cannot hold the
            classes.
        ConfigError: if another split is asked for.
    """
    check_addable(target)
    if (request.seed, request.validation, request.test) != (None, None, None):
        raise ConfigError(
            f"--add keeps the split of {target.name}; leave out --seed, --validation and --test, and draw anew with "
            f"naslora data split {target.name}"
        )
    before = read_dataset(target)
    wanted = wanted_sources(found, request, pairs_only)
    known = {one.name for one in read_quarantine(target)} | {pair.name for pair in before.pairs}
    wanted, there = _without_known(wanted, before)
    if not wanted:
        raise DataError(f"{request.folder}: all {there} images are in {target} already; there is nothing to add")
    check_sources(replace(found, sources=tuple(wanted)), request)
    wanted, notes = _kept_apart(wanted, known, prefix)
    if there:
        notes += (
            f"{there} images are in the domain already, the same files: left out, the masks there stay as they are",
        )
    found = with_image_reading(replace(found, sources=tuple(wanted)), request, target, progress)
    if found.image != before.card.image:
        raise DataError(
            f"{target} reads its images by {before.card.image or '8 bits as they are'}, those to add need "
            f"{found.image or '8 bits as they are'}; bring them in as a domain of their own: --name"
        )
    own = card_of(found, before.card.split, target)
    card, added = joined_card(before.card, own)
    notes += (f"new classes: {', '.join(added)}",) * bool(added)
    with atomic_directory(target) as folder:
        _copy(target, folder)
        written: list[Source] = []
        for done, source in enumerate(wanted, start=1):
            converted = replace(source, mask=_converted(source, request, report, own, card))
            written += [source] * write_pair(converted, folder, request, card, encode=True)
            progress(done, len(wanted), f"add to {target.name}")
        if not written:
            raise DataError(f"{request.folder}: every pair was left out; nothing was added to {target}")
        splits, groups = _splits(before, card, written, folder, progress)
        write_card(folder, card)
        write_splits(folder, splits, groups)
    return read_dataset(target), notes


def _without_known(sources: Sequence[Source], before: Dataset) -> tuple[list[Source], int]:
    """Return the sources whose image is no file of the dataset, and how many are."""
    there = {file_digest(pair.image) for pair in before.pairs if pair.image is not None}
    new = [one for one in sources if not (isinstance(one.image, Path) and file_digest(one.image) in there)]
    return new, len(sources) - len(new)


def _kept_apart(sources: list[Source], known: set[str], prefix: str) -> tuple[list[Source], tuple[str, ...]]:
    """Return the sources under names that the dataset has not."""
    taken = [one.name for one in sources if one.name in known]
    if not taken:
        return sources, ()
    number, before = 1, prefix
    while any(f"{before}_{one.name}" in known for one in sources):
        number += 1
        before = f"{prefix}_{number}"
    renamed = [replace(one, name=f"{before}_{one.name}") for one in sources]
    return renamed, (f"{len(taken)} names are taken, such as {taken[0]}: '{before}_' goes before every new one",)


def _converted(
    source: Source, request: ImportRequest, report: PaintReport | None, own: DatasetCard, card: DatasetCard
) -> Pixels | None:
    """Return the file of a mask that needs no conversion, or a function that makes ids by the classes of `card`."""
    mask = source.mask
    same = own.model_dump(include=_ENCODING) == card.model_dump(include=_ENCODING)
    if mask is None or (isinstance(mask, Path) and same):
        return mask
    table = np.arange(IGNORED_ID + 1, dtype=np.uint8)
    for number, name in enumerate(own.classes, start=1):
        table[number] = card.classes.index(name) + 1

    def make() -> np.ndarray:
        pixels = painted(source, request, report)
        if isinstance(pixels, Path) or pixels is None:
            return table[read_class_ids(pixels, own)] if pixels else table[:0]
        ids: np.ndarray = table[pixels()]
        return ids

    return make


_ENCODING = {"classes", "mask_threshold", "mask_values", "mask_ignore", "mask_reading"}


def _copy(target: Path, folder: Path) -> None:
    """Copy all of a dataset but card and splits, by hard links where the disk has them."""
    for place in sorted(target.rglob("*")):
        path = folder / place.relative_to(target)
        if place.is_symlink():
            path.symlink_to(place.readlink())
        elif place.is_dir():
            path.mkdir()
        elif place.name not in (CARD_FILE, SPLITS_FILE) or QUARANTINE_FOLDER in place.parts:
            try:
                path.hardlink_to(place)
            except OSError:
                shutil.copyfile(place, path)


def _splits(
    before: Dataset, card: DatasetCard, written: Sequence[Source], folder: Path, progress: Progress
) -> tuple[dict[str, str], dict[str, str]]:
    """Return split and group of every name: those that were stay, newcomers follow their group or the rule."""
    kept = {pair.name: pair.split for pair in before.pairs}
    held = read_quarantine(before.root)
    kept |= {one.name: one.split for one in held if one.name not in kept}
    groups: dict[str, str] = {one.name: one.group for one in held if one.group}
    groups |= {pair.name: pair.group for pair in before.pairs}
    groups |= {one.name: one.group or card.split.group_of(one.name) for one in written}
    images, masks = (list_images(folder / kind) for kind in (IMAGES_FOLDER, MASKS_FOLDER))
    copies = find_duplicates(images, progress, masks=masks, card=card)
    joined: Mapping[str, str] = join_groups(groups, copies)
    published = {one.name: one.split for one in written if one.split}
    names = [*kept, *(one.name for one in written)]
    return complete_splits(names, kept | published, card.split, joined), dict(joined)
