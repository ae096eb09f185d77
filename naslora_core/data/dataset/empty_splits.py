"""Say why a split is empty, or far from its share: a group is never divided."""

from collections import Counter
from collections.abc import Mapping

from naslora_core.data.dataset.splits import SPLITS
from naslora_core.errors import few

_NAMED = 3


def explain_empty(splits: Mapping[str, str], groups: Mapping[str, str]) -> str:
    """Return which splits are empty, and why; "" if none is.

    Args:
        splits: by name.
        groups: by name; a name without one is a group of its own.
    """
    if not (empty := [split for split in SPLITS if split not in set(splits.values())]):
        return ""
    sizes = _sizes(splits, groups)
    said = f"empty: {', '.join(empty)}"
    if len(sizes) < len(SPLITS):
        pairs = f"{len(splits)} pair{'' if len(splits) == 1 else 's'}"
        return (
            f"{said}; the {pairs} make {_groups(len(sizes))}, three splits need three{_largest(sizes, splits, groups)}"
        )
    given = "it" if len(empty) == 1 else "them"
    return (
        f"{said}; no pair was given to {given}, though there are {_groups(len(sizes))}; naslora data split draws anew"
    )


def explain_largest(splits: Mapping[str, str], groups: Mapping[str, str]) -> str:
    """Return which group holds more than half of all, so that no split can have its share; "" if none does."""
    sizes = _sizes(splits, groups)
    if len(sizes) < 2 or max(sizes.values()) * 2 <= len(splits):
        return ""
    return f"the splits have not the shares asked for{_largest(sizes, splits, groups)}"


def _sizes(splits: Mapping[str, str], groups: Mapping[str, str]) -> Counter[str]:
    return Counter(groups.get(name) or name for name in splits)


def _groups(count: int) -> str:
    return f"{count} group{'' if count == 1 else 's'}"


def _largest(sizes: Counter[str], splits: Mapping[str, str], groups: Mapping[str, str]) -> str:
    if not sizes or (largest := sizes.most_common(1)[0])[1] < 2:
        return ""
    members = [name for name in sorted(splits) if (groups.get(name) or name) == largest[0]]
    return (
        f": {len(members)} of {len(splits)} are one group ({few(members, _NAMED)}), as images of one "
        "patient or copies of one image are, and a group is never divided"
    )
