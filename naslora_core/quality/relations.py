"""Checks across pairs: duplicates, and groups that are in two splits."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from naslora_core.data.dataset.duplicates import groups_of, label_duplicates
from naslora_core.data.dataset.mask_looks import label_by_masks


def add_relations(table: pd.DataFrame, max_bits: int, accepted: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return the table with the columns on copies and groups; see `quality.table`.

    Args:
        table: measurements of the files.
        max_bits: by how many bits the perceptual hashes of two copies may differ.
        accepted: pairs of names that may be copies in two splits.
    """
    labels = _duplicate_labels(table, max_bits)
    elsewhere = _partners(table, labels, other_split=True)
    accepted_copy = [""] * len(table)
    for row, partner in _accepted_partners(table, labels, accepted).items():
        accepted_copy[row], elsewhere[row] = partner
    return table.assign(
        copy_in_same_split=_partners(table, labels, other_split=False),
        copy_in_other_split=elsewhere,
        accepted_copy=accepted_copy,
        group_in_other_split=_partners(table, pd.factorize(table["group"])[0], other_split=True),
    )


def _duplicate_labels(table: pd.DataFrame, max_bits: int) -> np.ndarray:
    """Return duplicate labels, (N,) int, equal for copies of each other."""
    labels = np.arange(len(table)) + len(table)
    readable = table["perceptual_hash"].notna().to_numpy()
    if readable.any():
        part = table[readable]
        hashes = np.array([int(text, 16) for text in part["perceptual_hash"]], dtype=np.uint64)
        thumbnails = np.frombuffer(b"".join(part["thumbnail"]), dtype=np.uint8).reshape(len(part), -1)
        looks = part["mask_look"].astype(object).where(part["mask_look"].notna(), None)
        alike = label_duplicates(hashes, thumbnails, max_bits)
        labels[readable] = label_by_masks(alike, looks.to_list(), part["image_sha256"].to_list())
    return labels


def _partners(table: pd.DataFrame, labels: np.ndarray, other_split: bool) -> list[str]:
    """Return for every row the first other row with its label, as "name (split)", "" if there is none."""
    names, splits = table["name"].to_numpy(), table["split"].to_numpy()
    partners = [""] * len(table)
    if not other_split:
        codes, known = pd.factorize(splits)
        labels = labels * len(known) + codes
    for members in groups_of(labels):
        # One of these differs from any member: comparing all of a long video would be quadratic.
        first_of_split = {splits[row]: row for row in reversed(members)}
        candidates = sorted(first_of_split.values()) if other_split else members[:2]
        for row in members:
            for other in candidates:
                if other != row and not (other_split and splits[other] == splits[row]):
                    partners[row] = f"{names[other]} ({splits[other]})"
                    break
    return partners


def _accepted_partners(
    table: pd.DataFrame, labels: np.ndarray, accepted: Sequence[tuple[str, str]]
) -> dict[int, tuple[str, str]]:
    """Return by row the copy that is accepted, and the first copy in another split that is not, "" if none."""
    names, splits = table["name"].to_list(), table["split"].to_list()
    place = {name: row for row, name in enumerate(names)}
    partners: dict[int, set[int]] = {}
    for pair in accepted:
        a, b = (place.get(name, -1) for name in pair)
        if min(a, b) >= 0 and labels[a] == labels[b] and splits[a] != splits[b]:
            partners.setdefault(a, set()).add(b)
            partners.setdefault(b, set()).add(a)
    found = {}
    for row, others in partners.items():
        copies = [int(other) for other in np.flatnonzero(labels == labels[row]) if splits[other] != splits[row]]
        left = next((other for other in copies if other not in others), None)
        first = min(others)
        found[row] = (
            f"{names[first]} ({splits[first]})", "" if left is None else f"{names[left]} ({splits[left]})",
        )  # fmt: skip
    return found
