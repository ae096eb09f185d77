"""Who must not be separated: images of one file, one patient, one video."""

import hashlib
from collections.abc import Mapping
from pathlib import Path


def groups_of_identical_files(paths: Mapping[str, Path]) -> dict[str, str]:
    """Find names whose files are the same to the byte; divided between splits, they would be tested on by heart.

    Args:
        paths: of the images, by name.

    Returns:
        By name, the first of the names with this content; names whose content is unique are left out.
    """
    of_size: dict[int, list[str]] = {}
    for name in sorted(paths):
        of_size.setdefault(paths[name].stat().st_size, []).append(name)
    of_content: dict[bytes, list[str]] = {}
    for names in of_size.values():
        # Only files of one length can be equal; the others need not be read.
        for name in names if len(names) > 1 else ():
            of_content.setdefault(hashlib.sha256(paths[name].read_bytes()).digest(), []).append(name)
    twins = {name: names[0] for names in of_content.values() if len(names) > 1 for name in names}
    return dict(sorted(twins.items()))


def join_groups(declared: Mapping[str, str], twins: Mapping[str, str]) -> dict[str, str]:
    """Join two groupings: whoever is together in one of them is together in the result.

    Args:
        declared: group by name, such as the patient.
        twins: another grouping of the same names, as `groups_of_identical_files` returns it.

    Returns:
        Group by name; of declared groups that twins connect, all get the name of the first.
    """
    leader: dict[str, str] = {}

    def find(group: str) -> str:
        while leader.get(group, group) != group:
            group = leader[group]
        return group

    together: dict[str, list[str]] = {}
    for name in sorted(twins):
        together.setdefault(twins[name], []).append(declared.get(name, name))
    for groups in together.values():
        first, *others = sorted({find(group) for group in groups})
        leader |= dict.fromkeys(others, first)
    return {name: find(declared.get(name, name)) for name in sorted(declared.keys() | twins.keys())}
