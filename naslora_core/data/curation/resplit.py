"""Split an existing dataset again, and write the rule to its card."""

from pathlib import Path

from naslora_core.data.curation.describe import measure_masks
from naslora_core.data.curation.quarantine_record import finish_interrupted, read_quarantine
from naslora_core.data.dataset.card import SplitRule, write_card
from naslora_core.data.dataset.dataset import Dataset, read_dataset
from naslora_core.data.dataset.groups import find_duplicates, join_groups
from naslora_core.data.dataset.splits import SPLITS, TEST, TRAIN, VALIDATION, complete_splits, draw_splits, write_splits
from naslora_core.errors import DataError
from naslora_core.progress import Progress, silent


def resplit(
    root: Path, rule: SplitRule, keep_test: bool = False, force: bool = False, progress: Progress = silent
) -> Dataset:
    """Draw new splits for a dataset, and write splits.csv and the rule in dataset.yaml.

    Images of one group stay together: groups of the card's rule, of splits.csv, and images that are the same, or
    nearly. What is in quarantine gets a split as new images do, for when it is restored.

    Args:
        root: the dataset's folder.
        rule: shares, seed, and how to draw.
        keep_test: leave the test images as they are and draw the others; a listed split remains one.
        force: replace the test images of a listed split.
        progress: called after each image and each mask that is read.

    Returns:
        The dataset with its new split.

    Raises:
        DataError: if the split is listed, would get other test images, and neither `keep_test` nor `force` is given.
    """
    finish_interrupted(root)
    dataset = read_dataset(root)
    groups = _groups(dataset, rule, progress)
    foreground = _foreground(dataset, progress) if rule.stratify else None
    before = {pair.name: TEST for pair in dataset.of_split(TEST)}
    kept = before if keep_test else {}
    names = [pair.name for pair in dataset.pairs if pair.name not in kept]
    drawn = kept | draw_splits(names, _of_the_rest(rule, len(kept), len(names)), groups, foreground)
    listed = dataset.card.split.kind == "listed"
    if listed and not force and before.keys() != {name for name, split in drawn.items() if split == TEST}:
        raise DataError(
            f"the split of {root} is a published one, and results on other test images cannot be compared with "
            "anybody's. Draw validation images alone with --keep-test, or everything with --force"
        )
    if listed and kept:
        shares = {split: round(list(drawn.values()).count(split) / len(drawn), 4) for split in SPLITS}
        rule = rule.model_copy(update={"kind": "listed", **shares})
    held = {one.name: one.group for one in read_quarantine(root) if one.name not in drawn}
    named = {name: group for name, group in (held | groups).items() if group and group != rule.group_of(name)}
    write_splits(root, drawn | complete_splits(held, drawn, rule, named), named)
    write_card(root, dataset.card.model_copy(update={"split": rule}))
    return read_dataset(root)


def _groups(dataset: Dataset, rule: SplitRule, progress: Progress) -> dict[str, str]:
    """Return the group of every image: the one splits.csv names, else that of the new rule; duplicates are joined."""
    old = dataset.card.split
    declared = {
        pair.name: rule.group_of(pair.name) if pair.group == old.group_of(pair.name) else pair.group
        for pair in dataset.pairs
    }
    images = {pair.name: pair.image for pair in dataset.pairs if pair.image is not None}
    masks = {pair.name: pair.mask for pair in dataset.pairs if pair.mask is not None}
    return join_groups(declared, find_duplicates(images, progress, masks=masks, card=dataset.card))


def _foreground(dataset: Dataset, progress: Progress) -> dict[str, float]:
    measures = measure_masks(dataset, progress)
    return {pair.name: measures[pair.name].foreground if pair.name in measures else 0.0 for pair in dataset.pairs}


def _of_the_rest(rule: SplitRule, tested: int, others: int) -> SplitRule:
    """Return the rule for the images that are not tested on, so that validation gets its share of all images."""
    if not tested:
        return rule
    if not others:
        raise DataError("every image is a test image; there is nothing to draw validation images from")
    validation = min(rule.validation * (tested + others) / others, 1.0)
    return rule.model_copy(update={TRAIN: 1 - validation, VALIDATION: validation, TEST: 0.0})
