"""What the project is made of: every package it installs, with version and licence, as a table or as an SBOM.

python -m tools.inventory licences   a table of all packages, those that ask for care first
python -m tools.inventory sbom       CycloneDX 1.6 as JSON, without a time: the same packages give the same bytes
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "naslora"
# Licences that ask more of who passes a package on than to name its authors.
RECIPROCAL = re.compile(r"\b(A?GPL|LGPL|MPL|EPL|CDDL|EUPL)\b|General Public|Mozilla Public", re.IGNORECASE)


@dataclass(frozen=True)
class Component:
    """An installed package that the project needs, directly or not."""

    name: str
    version: str
    licence: str

    @property
    def asks_for_care(self) -> bool:
        """Whether its licence is reciprocal, or not stated."""
        return self.licence == "not stated" or bool(RECIPROCAL.search(self.licence))


def components(extras: tuple[str, ...] = ()) -> list[Component]:
    """Return what the project and its extras need and is installed, sorted by name; without the project itself."""
    waiting, seen = [(PROJECT, frozenset(extras))], set[tuple[str, frozenset[str]]]()
    found: dict[str, Component] = {}
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue  # of an extra that is not installed
        found[name] = Component(name, installed.version, licence_of(installed))
        waiting += [(canonicalize_name(need.name), frozenset(need.extras)) for need in _needs(installed, wanted)]
    return [found[name] for name in sorted(found) if name != PROJECT]


def licence_of(installed: Distribution) -> str:
    """Return the licence that a package states: its expression, else its classifiers, else a short free text."""
    about = installed.metadata
    if expression := about.get_all("License-Expression"):
        return str(expression[0])
    classifiers = [
        text.rpartition(" :: ")[2] for text in about.get_all("Classifier") or () if text.startswith("License")
    ]
    if named := [text for text in classifiers if text != "OSI Approved"]:
        return "; ".join(sorted(named))
    # Some packages put the whole text of their licence here.
    first = "".join(about.get_all("License") or ()).strip().partition("\n")[0]
    return first if 0 < len(first) <= 80 and first != "UNKNOWN" else "not stated"


def as_table(found: list[Component]) -> str:
    """Return the components as Markdown, those that ask for care first."""
    ordered = sorted(found, key=lambda one: (not one.asks_for_care, one.name))
    rows = [f"| {one.name} | {one.version} | {one.licence} |" for one in ordered]
    careful = sum(one.asks_for_care for one in found)
    head = f"{len(found)} packages; the first {careful} have a reciprocal licence or state none."
    return "\n".join([head, "", "| package | version | licence |", "| --- | --- | --- |", *rows])


def as_sbom(found: list[Component]) -> str:
    """Return the components as a CycloneDX 1.6 document."""
    own = {"type": "application", "name": PROJECT, "version": distribution(PROJECT).version, "bom-ref": PROJECT}
    listed = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{one.name}@{one.version}",
            "purl": f"pkg:pypi/{one.name}@{one.version}",
            "name": one.name,
            "version": one.version,
            "licenses": [{"license": {"name": one.licence}}],
        }
        for one in found
    ]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": own},
                       "components": listed}, indent=2)  # fmt: skip


def _needs(installed: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for line in installed.requires or ():
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield need


def main() -> None:
    """Print the form that is asked for."""
    forms = {"licences": as_table, "sbom": as_sbom}
    if len(sys.argv) != 2 or sys.argv[1] not in forms:
        sys.exit(f"usage: python -m tools.inventory {'|'.join(forms)}")
    sys.stdout.write(forms[sys.argv[1]](components(("serve", "peft"))) + "\n")


if __name__ == "__main__":
    main()
