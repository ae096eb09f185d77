"""Tell pictures of a fixed camera from copies: the scene is the same, and the masks are not."""

from collections.abc import Sequence

import cv2
import numpy as np

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.dataset.duplicates import groups_of

GRID_SIDE = 16
# Of the cosine of two looks. Two masks of one size that share half of their union have 0.67, one that lies in
# another of twice its area 0.71: two people who outline the same object agree, an object that has moved does not.
_LEAST_AGREEMENT = 0.7
# Masks compared with all others at a time, which bounds the memory.
_AT_ONCE = 512


def mask_look(ids: np.ndarray, classes: int) -> bytes:
    """Return what tells a mask from others: where its objects are, on a coarse grid, and how much each class covers.

    Args:
        ids: (H, W) uint8 class ids; pixels nobody labelled count as background.
        classes: how many there are.

    Returns:
        GRID_SIDE² + `classes` numbers, float32: the foreground share of each cell, and that of each class.
    """
    is_object = np.ones(256, np.float32)
    is_object[[0, IGNORED_ID]] = 0
    grid = cv2.resize(cv2.LUT(ids, is_object), (GRID_SIDE, GRID_SIDE), interpolation=cv2.INTER_AREA)
    # Several times as fast as counting with numpy; beyond 2**24 pixels of a class it stops, for all masks alike.
    shares = cv2.calcHist([ids], [0], None, [256], [0, 256]).ravel()[1 : classes + 1] / ids.size
    return np.concatenate([grid.ravel(), shares]).astype(np.float32).tobytes()


def label_by_masks(labels: np.ndarray, looks: Sequence[bytes | None], files: Sequence[str]) -> np.ndarray:
    """Divide groups of images that look alike where their masks disagree.

    Two images stay together if their masks agree, or if they are the same file; and with them all that are linked so.
    A group in which some mask is not known stays whole.

    Args:
        labels: (N,) int of `label_duplicates`.
        looks: `mask_look` of each mask; None where it could not be read.
        files: a checksum of each image file.

    Returns:
        (N,) int, the same number for copies of each other and another for all else.
    """
    divided = labels.copy()
    names = np.array(files, dtype=object)
    unused = int(labels.max(initial=0)) + 1
    for members in groups_of(labels):
        known = [look for row in members if (look := looks[row]) is not None]
        if len(known) < len(members):
            continue
        for cluster in _clusters(_vectors(known), names[members])[1:]:
            divided[members[cluster]] = unused
            unused += 1
    return divided


def _vectors(looks: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Return the grids and the shares of classes, each (N, …) float32 of length 1; empty masks are alike."""
    numbers = np.frombuffer(b"".join(looks), dtype=np.float32).reshape(len(looks), -1)
    parts = numbers[:, : GRID_SIDE**2], numbers[:, GRID_SIDE**2 :]
    grids, shares = (np.hstack([part, ~part.any(axis=1, keepdims=True)]).astype(np.float32) for part in parts)
    return tuple(part / np.linalg.norm(part, axis=1, keepdims=True) for part in (grids, shares))


def _clusters(vectors: tuple[np.ndarray, np.ndarray], files: np.ndarray) -> list[np.ndarray]:
    """Return the places of those that are linked, the cluster of the first before all others."""
    clusters, rest = [], np.arange(len(files))
    while len(rest):
        frontier, rest = rest[:1], rest[1:]
        found = [frontier]
        while len(frontier) and len(rest):
            near = np.isin(files[rest], files[frontier])
            for start in range(0, len(frontier), _AT_ONCE):
                part = frontier[start : start + _AT_ONCE]
                alike = [vector[part] @ vector[rest].T >= _LEAST_AGREEMENT for vector in vectors]
                near |= (alike[0] & alike[1]).any(axis=0)
            frontier, rest = rest[near], rest[~near]
            found.append(frontier)
        clusters.append(np.concatenate(found))
    return clusters
