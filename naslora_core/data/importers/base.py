"""What every importer shares: what it is asked, what it finds, and how that becomes a dataset."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from naslora_core.data.card import CARD_FILE, DatasetCard, SplitRule, read_card, write_card
from naslora_core.data.dataset import IMAGES_FOLDER, MASKS_FOLDER, Dataset, read_dataset
from naslora_core.data.splits import SPLITS, assign_splits, draw_splits, read_splits, write_splits
from naslora_core.errors import DataError
from naslora_core.files import atomic_directory
from naslora_core.progress import Progress, silent
from naslora_core.registry import Registry


@dataclass(frozen=True)
class ImportRequest:
    """What the user wants brought in; None leaves the choice to the importer.

    `folder`: where the data lies; `images`, `masks`: its two folders, if they have unusual names;
    `threshold`: least mask value that is foreground; `class_name`: what the masks mark;
    `seed`, `validation`, `test`: how a dataset that comes without a split is divided.
    """

    folder: Path
    images: Path | None = None
    masks: Path | None = None
    threshold: int | None = None
    class_name: str | None = None
    seed: int = 0
    validation: float = 0.15
    test: float = 0.15


@dataclass(frozen=True)
class Source:
    """One pair to bring in, under its new name; `split` is None where none is published."""

    name: str
    image: Path | None
    mask: Path | None
    split: str | None = None


@dataclass(frozen=True)
class Found:
    """What an importer recognised, before anything is copied."""

    sources: tuple[Source, ...]
    title: str
    class_name: str
    mask_threshold: int
    licence: str
    citation: str
    origin: str

    @property
    def unpaired(self) -> tuple[Source, ...]:
        """Return the sources that lack an image or a mask."""
        return tuple(source for source in self.sources if source.image is None or source.mask is None)


Importer = Callable[[ImportRequest], Found]
IMPORTERS: Registry[Importer] = Registry("dataset layout")


def import_dataset(
    found: Found,
    request: ImportRequest,
    target: Path,
    replace_existing: bool = False,
    pairs_only: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Copy what an importer found into `target`, byte for byte, and write its card and split.

    Images that `target` already had keep their split if the rule is the same, so that growing a dataset never
    moves an image from training to testing.

    Args:
        found: what the importer of the layout returned for `request`.
        request: where from, and how to divide.
        target: data/<domain>; its last part becomes the name.
        replace_existing: take the place of a dataset that is there already.
        pairs_only: leave out images without a mask and masks without an image.
        progress: called after each copied pair.

    Raises:
        DataError: if `target` exists, or there is nothing to bring in.
    """
    if target.exists() and not replace_existing:
        raise DataError(f"{target} exists already; choose another --name, or --replace it")
    if pairs_only:
        unpaired = set(found.unpaired)
        found = replace(found, sources=tuple(source for source in found.sources if source not in unpaired))
    if not any(source.image for source in found.sources):
        raise DataError(f"{request.folder} holds no image with a mask; nothing was brought in")
    card = _card(found, request, target.name)
    splits = _splits(found, card, target)
    with atomic_directory(target) as folder:
        for kind in (IMAGES_FOLDER, MASKS_FOLDER):
            (folder / kind).mkdir()
        for done, source in enumerate(found.sources, start=1):
            for path, kind in ((source.image, IMAGES_FOLDER), (source.mask, MASKS_FOLDER)):
                if path is not None:
                    shutil.copyfile(path, folder / kind / f"{source.name}{path.suffix.lower()}")
            progress(done, len(found.sources), f"import {target.name}")
        write_card(folder, card)
        write_splits(folder, splits)
    return read_dataset(target)


def _card(found: Found, request: ImportRequest, name: str) -> DatasetCard:
    published = all(source.split for source in found.sources)
    if published:
        count = Counter(source.split for source in found.sources)
        shares = {split: round(count[split] / len(found.sources), 4) for split in SPLITS}
    else:
        train = round(1 - request.validation - request.test, 4)
        if train <= 0:
            raise DataError(f"validation {request.validation} and test {request.test} leave none to train on")
        shares = {"train": train, "validation": request.validation, "test": request.test}
    return DatasetCard(
        name=name,
        title=found.title,
        classes=(request.class_name or found.class_name,),
        mask_threshold=request.threshold or found.mask_threshold,
        split=SplitRule(kind="listed" if published else "random", seed=request.seed, **shares),
        licence=found.licence,
        citation=found.citation,
        source=found.origin,
    )


def _splits(found: Found, card: DatasetCard, target: Path) -> dict[str, str]:
    published = {source.name: source.split for source in found.sources if source.split}
    names = [source.name for source in found.sources]
    if card.split.kind == "listed":
        return published
    if (target / CARD_FILE).is_file() and read_card(target).split == card.split:
        return assign_splits(names, read_splits(target), card.split)
    return draw_splits(names, card.split)
