"""Describe a dataset in numbers: images by size and split, and how much of them each class covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from naslora_core.data.curation.quarantine_record import Quarantined, read_quarantine
from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID, DatasetCard
from naslora_core.data.dataset.dataset import Dataset
from naslora_core.data.dataset.encoding import decode_mask
from naslora_core.data.dataset.splits import SPLITS
from naslora_core.errors import DataError
from naslora_core.progress import Progress, silent


@dataclass(frozen=True)
class MaskMeasure:
    """Size of a mask, (H, W) in pixels, and how much of it each class covers.

    Attributes:
        shares: of the pixels that are labelled, in the order of the card.
        ignored: the share of the pixels that nobody labelled.
    """

    size: tuple[int, int]
    shares: tuple[float, ...]
    ignored: float = 0.0

    @property
    def foreground(self) -> float:
        """The share of all classes together, 0 to 1."""
        return sum(self.shares)


@dataclass(frozen=True)
class ClassShare:
    """A class in one split: in how many images it occurs, and its mean share of their labelled pixels, 0 to 1.

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
        ignored: the mean share of an image's pixels that nobody labelled, 0 to 1.
        image_reading: how stored values become grey levels; "" for plain images of 8 bits.
        unmeasured: names of pairs without a mask that can be read.
    """

    name: str
    title: str
    pairs: dict[str, int]
    groups: dict[str, int]
    sizes: dict[str, tuple[int, int]]
    distinct_sizes: int
    classes: dict[str, dict[str, ClassShare]]
    ignored: float
    encoding: str
    image_reading: str
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
            found[pair.name] = _measure(ids, len(dataset.card.classes))
        progress(done, len(dataset.pairs), f"read {dataset.card.name}")
    return found


def _measure(ids: np.ndarray, classes: int) -> MaskMeasure:
    counts = np.bincount(ids.ravel(), minlength=IGNORED_ID + 1)
    ignored = int(counts[IGNORED_ID])
    shares = counts[1 : classes + 1] / max(ids.size - ignored, 1)
    return MaskMeasure((ids.shape[0], ids.shape[1]), tuple(shares.tolist()), ignored / ids.size)


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
        ignored=sum(one.ignored for one in measures.values()) / max(len(measures), 1),
        encoding=describe_encoding(card),
        image_reading="" if card.image is None else f"read by {card.image}",
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
    ignored = f"; not labelled: {', '.join(map(str, card.mask_ignore))}" if card.mask_ignore else ""
    if card.mask_values is None:
        object_is = {
            "alpha": "a pixel whose alpha channel is 128 or more",
            "instances": "a mask pixel above 0, the number of an object,",
        }.get(card.reading, f"a mask pixel of {card.mask_threshold} or more")
        return f"{object_is} is {card.classes[0]}{ignored}"
    listed = "; ".join(f"{name}: {', '.join(map(str, values))}" for name, values in card.mask_values.items())
    rest = "" if BACKGROUND in card.mask_values else f"; {BACKGROUND}: 0"
    return f"mask values by class: {listed}{rest}{ignored}"


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
