"""Describe a dataset in numbers: images by size and split, and how much of them each class covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from naslora_core.data.curation.quarantine_record import Quarantined, read_quarantine
from naslora_core.data.dataset.card import BACKGROUND, DatasetCard
from naslora_core.data.dataset.dataset import Dataset
from naslora_core.data.dataset.encoding import decode_mask
from naslora_core.data.dataset.splits import SPLITS
from naslora_core.errors import DataError
from naslora_core.progress import Progress, silent


@dataclass(frozen=True)
class MaskMeasure:
    """Size of a mask, (H, W) in pixels, and the share of it that each class covers, in the order of the card."""

    size: tuple[int, int]
    shares: tuple[float, ...]

    @property
    def foreground(self) -> float:
        """The share of all classes together, 0 to 1."""
        return sum(self.shares)


@dataclass(frozen=True)
class ClassShare:
    """A class in one split: in how many images it occurs, and its mean share of their pixels, 0 to 1.

    The mean is over all images that could be measured, those without the class included.
    """

    images: int
    mean_share: float


@dataclass(frozen=True)
class Description:
    """What `naslora data show` prints.

    Attributes:
        pairs: by split.
        groups: by split, how many groups; as many as pairs where every image stands for itself.
        sizes: smallest, median and largest height and width of the masks, in pixels; empty if none is readable.
        distinct_sizes: how many different ones there are.
        classes: by class name and split.
        unmeasured: names of pairs without a mask that can be read.
    """

    name: str
    title: str
    pairs: dict[str, int]
    groups: dict[str, int]
    sizes: dict[str, tuple[int, int]]
    distinct_sizes: int
    classes: dict[str, dict[str, ClassShare]]
    encoding: str
    licence: str
    citation: str
    source: str
    split_rule: str
    unmeasured: tuple[str, ...]
    quarantined: tuple[Quarantined, ...]


def measure_masks(dataset: Dataset, progress: Progress = silent) -> dict[str, MaskMeasure]:
    """Read every mask; pairs whose mask is missing or unreadable are left out."""
    found = {}
    for done, pair in enumerate(dataset.pairs, start=1):
        try:
            ids = None if pair.mask is None else decode_mask(pair.mask, dataset.card).ids
        except DataError:
            ids = None  # the gate reports it; here it only cannot be counted
        if ids is not None:
            counts = np.bincount(ids.ravel(), minlength=len(dataset.card.classes) + 1)
            found[pair.name] = MaskMeasure((ids.shape[0], ids.shape[1]), tuple((counts[1:] / ids.size).tolist()))
        progress(done, len(dataset.pairs), f"read {dataset.card.name}")
    return found


def describe(dataset: Dataset, measures: Mapping[str, MaskMeasure]) -> Description:
    """Describe a dataset in numbers.

    Args:
        dataset: the dataset.
        measures: what `measure_masks` found.
    """
    card = dataset.card
    sizes = [measure.size for measure in measures.values()]
    return Description(
        name=card.name,
        title=card.title,
        pairs={split: len(dataset.of_split(split)) for split in SPLITS},
        groups={split: len({pair.group for pair in dataset.of_split(split)}) for split in SPLITS},
        sizes=_spread(sizes) if sizes else {},
        distinct_sizes=len(set(sizes)),
        classes=class_shares(dataset, measures),
        encoding=describe_encoding(card),
        licence=card.licence,
        citation=card.citation,
        source=card.source,
        split_rule=describe_rule(card),
        unmeasured=tuple(pair.name for pair in dataset.pairs if pair.name not in measures),
        quarantined=read_quarantine(dataset.root),
    )


def class_shares(dataset: Dataset, measures: Mapping[str, MaskMeasure]) -> dict[str, dict[str, ClassShare]]:
    """Return, by class and split, in how many images a class occurs and how much of them it covers."""
    shares: dict[str, dict[str, ClassShare]] = {}
    for place, name in enumerate(dataset.card.classes):
        shares[name] = {}
        for split in SPLITS:
            values = [measures[p.name].shares[place] for p in dataset.of_split(split) if p.name in measures]
            mean = sum(values) / len(values) if values else 0.0
            shares[name][split] = ClassShare(sum(value > 0 for value in values), mean)
    return shares


def describe_encoding(card: DatasetCard) -> str:
    """Describe in words how mask values are mapped to classes."""
    if card.mask_values is None:
        return f"a mask pixel of {card.mask_threshold} or more is {card.classes[0]}"
    listed = "; ".join(f"{name}: {', '.join(map(str, values))}" for name, values in card.mask_values.items())
    return f"mask values by class: {listed}" + ("" if BACKGROUND in card.mask_values else f"; {BACKGROUND}: 0")


def describe_rule(card: DatasetCard) -> str:
    """Describe in words how the split was made."""
    rule = card.split
    if rule.kind == "listed":
        return "as published; newcomers are for training"
    text = f"drawn with seed {rule.seed}: {rule.train:g} train, {rule.validation:g} validation, {rule.test:g} test"
    text += ", like mixes of foreground" if rule.stratify else ""
    return text + (f", groups by {rule.group_pattern}" if rule.group_pattern else "")


def _spread(sizes: Sequence[tuple[int, int]]) -> dict[str, tuple[int, int]]:
    heights, widths = [height for height, _ in sizes], [width for _, width in sizes]
    return {
        "smallest": (min(heights), min(widths)),
        "median": (int(median(heights)), int(median(widths))),
        "largest": (max(heights), max(widths)),
    }
