"""Assign imported images to splits: as published, as in an earlier import, or drawn."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from naslora_core.data.dataset.card import CARD_FILE, DatasetCard, SplitRule, read_card
from naslora_core.data.dataset.groups import find_duplicates, join_groups
from naslora_core.data.dataset.splits import (
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    complete_splits,
    draw_splits,
    read_groups,
    read_splits,
)
from naslora_core.data.importers.base import ImportRequest, Source
from naslora_core.errors import DataError
from naslora_core.progress import Progress, silent

# Used where neither the request nor an earlier import gives a seed or a share.
SEED, SHARE = 7, 0.15


@dataclass(frozen=True)
class SplitAssignment:
    """The split rule for the card, and the split and group of every image by name."""

    rule: SplitRule
    splits: dict[str, str]
    groups: dict[str, str]


def assign_splits(
    sources: Sequence[Source],
    request: ImportRequest,
    target: Path,
    images: Mapping[str, Path],
    progress: Progress = silent,
    masks: Mapping[str, Path] | None = None,
    card: DatasetCard | None = None,
) -> SplitAssignment:
    """Assign every source a split and a group.

    A published split holds. Of it, what is missing of validation and testing is drawn from the training images; if
    there are none, all is drawn. Drawn splits separate neither groups nor duplicates of an image. What the dataset in
    `target` had keeps its group, and its drawn split unless the request asks for another rule.

    Args:
        sources: all pairs.
        request: shares and seed.
        target: the dataset that is there already, if there is one.
        images: files by name; duplicates are looked for among these.
        progress: called after each image that is read.
        masks: files by name; copies are only what has masks that agree too.
        card: says how these are encoded, and images are read.

    Raises:
        DataError: if the shares leave nothing to train on, or the dataset in `target` cannot be read.
    """
    missing = missing_splits(sources)
    published = {source.name: source.split for source in sources if source.split} if TRAIN not in missing else {}
    earlier = read_card(target).split if (target / CARD_FILE).is_file() else None
    kept = earlier is not None and earlier.kind == ("listed" if published else "random") and _agrees(request, earlier)
    rule = earlier if kept and earlier else _random_rule(request)
    before = read_splits(target) if kept else {}
    # Duplicates of published images stay in their published splits; the gate reports them.
    free = [source.name for source in sources if missing and published.get(source.name, TRAIN) == TRAIN]
    looked_at = {name: images[name] for name in free if name in images}
    duplicates = find_duplicates(looked_at, progress, masks=masks, card=card)
    groups = join_groups(_groups(sources, rule, target), duplicates)
    if not published:
        return SplitAssignment(rule, _draw(free, rule, groups, before), groups)
    if missing:
        before = {name: split for name, split in before.items() if published.get(name) == TRAIN and split in SPLITS}
        from_train = _random_rule(request, missing).model_copy(update={"seed": rule.seed})
        published |= _draw(free, from_train, groups, before)
    count = Counter(published.values())
    train, validation, test = (round(count[split] / len(published), 4) for split in SPLITS)
    shares = {"train": train, "validation": validation, "test": test}
    return SplitAssignment(rule.model_copy(update={"kind": "listed", **shares}), published, groups)


def missing_splits(sources: Iterable[Source]) -> tuple[str, ...]:
    """Return the splits that no source is published in; all of them if some source has no split."""
    there = {source.split for source in sources}
    return SPLITS if None in there or TRAIN not in there else tuple(split for split in SPLITS if split not in there)


def _agrees(request: ImportRequest, rule: SplitRule) -> bool:
    seed, validation, test = request.seed, request.validation, request.test
    if rule.kind == "listed":
        # The shares of its card count the images; what was asked for is not known any more.
        return seed in (None, rule.seed) and validation is None and test is None
    return seed in (None, rule.seed) and validation in (None, rule.validation) and test in (None, rule.test)


def _random_rule(request: ImportRequest, drawn: Sequence[str] = SPLITS) -> SplitRule:
    validation = _share(request.validation) if VALIDATION in drawn else 0.0
    test = _share(request.test) if TEST in drawn else 0.0
    if (train := round(1 - validation - test, 4)) <= 0:
        raise DataError(f"validation {validation} and test {test} leave none to train on; ask for less of them")
    seed = SEED if request.seed is None else request.seed
    return SplitRule(kind="random", seed=seed, train=train, validation=validation, test=test)


def _share(asked: float | None) -> float:
    return SHARE if asked is None else asked


def _groups(sources: Sequence[Source], rule: SplitRule, target: Path) -> dict[str, str]:
    names = {source.name for source in sources}
    groups = {name: rule.group_of(name) for name in names} if rule.group_pattern else {}
    groups |= {name: group for name, group in read_groups(target).items() if name in names}
    return groups | {source.name: source.group for source in sources if source.group}


def _draw(names: Iterable[str], rule: SplitRule, groups: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    if before:
        return complete_splits(names, before, rule, groups)
    return draw_splits(names, rule, groups)
