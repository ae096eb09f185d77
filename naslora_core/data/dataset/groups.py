"""Groups of images that must stay in one split: duplicates of one image, images of one patient or one video."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import file_digest
from naslora_core.data.dataset.duplicates import MOST_BITS, file_signature, label_duplicates, use_one_thread
from naslora_core.data.dataset.encoding import decode_mask
from naslora_core.data.dataset.mask_looks import label_by_masks, mask_look
from naslora_core.errors import DataError
from naslora_core.parallel import parallel_map, worker_count
from naslora_core.progress import Progress, silent

# Starting a process and its imports takes as long as reading about as many images here.
_WORTH_A_PROCESS = 2000


def find_duplicates(
    paths: Mapping[str, Path],
    progress: Progress = silent,
    workers: int | None = None,
    masks: Mapping[str, Path] | None = None,
    card: DatasetCard | None = None,
) -> dict[str, str]:
    """Find names whose files show the same image, or nearly; in two splits they would raise the test score unfairly.

    Every file is read once. What the gate takes for copies, at any setting, is in one group here; files that cannot
    be read are in none. Pictures of one scene are no copies where their masks disagree, see `mask_looks`; only masks
    of images that look alike are read.

    Args:
        paths: of the images, by name.
        progress: called after each image.
        workers: processes; None is as many as pay off. The result does not depend on it.
        masks: by name; images alone decide for names without one.
        card: says how masks are encoded and images are read; without it images alone decide, of 8 bits.

    Returns:
        By name, the first of the names that show this image; names without a copy are left out.
    """
    names = sorted(paths)
    looks: dict[str, tuple[int, bytes]] = {}
    with parallel_map(
        partial(file_signature, reading=card.image if card else None),
        workers or worker_count(paths.values(), _WORTH_A_PROCESS),
        "compares images",
        use_one_thread,
    ) as describe:
        for done, look in enumerate(describe([paths[name] for name in names]), start=1):
            if look is not None:
                looks[names[done - 1]] = look
            progress(done, len(names), "look for copies")
    if not looks:
        return {}
    hashes = np.array([bits for bits, _ in looks.values()], dtype=np.uint64)
    thumbnails = np.frombuffer(b"".join(small for _, small in looks.values()), dtype=np.uint8)
    labels = label_duplicates(hashes, thumbnails.reshape(len(looks), -1), MOST_BITS)
    labels = _divide(list(looks), labels, paths, masks or {}, card)
    members: dict[int, list[str]] = {}
    for name, label in zip(looks, labels.tolist(), strict=True):
        members.setdefault(label, []).append(name)
    return {
        name: members[label][0] for name, label in zip(looks, labels.tolist(), strict=True) if len(members[label]) > 1
    }


def _divide(
    names: list[str], labels: np.ndarray, paths: Mapping[str, Path], masks: Mapping[str, Path], card: DatasetCard | None
) -> np.ndarray:
    """Return the labels after `label_by_masks`, for which it opens the files of groups alone."""
    grouped = np.flatnonzero(np.bincount(labels)[labels] > 1)
    if card is None or not len(grouped):
        return labels
    found = [_look(masks.get(names[row]), card) for row in grouped]
    files = [file_digest(paths[names[row]]) for row in grouped]
    divided = labels.copy()
    # Labels that are new must not be those of images outside of the groups.
    divided[grouped] = np.where(
        (part := label_by_masks(labels[grouped], found, files)) > labels[grouped].max(), part + len(labels), part
    )
    return divided


def _look(path: Path | None, card: DatasetCard) -> bytes | None:
    try:
        return None if path is None else mask_look(decode_mask(path, card).ids, len(card.classes))
    except DataError:
        return None


def join_groups(declared: Mapping[str, str], duplicates: Mapping[str, str]) -> dict[str, str]:
    """Join two groupings: names that share a group in one of them share one in the result.

    Args:
        declared: group by name, such as the patient.
        duplicates: another grouping of the same names, as `find_duplicates` returns it.

    Returns:
        Group by name; declared groups that duplicates connect all get the name of the first.
    """
    leader: dict[str, str] = {}

    def find(group: str) -> str:
        while leader.get(group, group) != group:
            group = leader[group]
        return group

    together: dict[str, list[str]] = {}
    for name in sorted(duplicates):
        together.setdefault(duplicates[name], []).append(declared.get(name, name))
    for groups in together.values():
        first, *others = sorted({find(group) for group in groups})
        leader |= dict.fromkeys(others, first)
    return {name: find(declared.get(name, name)) for name in sorted(declared.keys() | duplicates.keys())}
