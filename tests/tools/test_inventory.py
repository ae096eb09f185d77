import json

from packaging.utils import canonicalize_name

from tools.inventory import Component, as_sbom, as_table, components


def test_the_inventory_holds_what_the_project_needs_and_what_that_needs() -> None:
    found = {one.name: one for one in components(("peft",))}
    assert {"torch", "dvc", "prefect", "segment-anything", "peft", "transformers", "sympy"} <= found.keys()
    assert "naslora" not in found
    # Of tools that are installed for development only.
    assert not {"pytest", "ruff", "mypy"} & found.keys()
    assert all(canonicalize_name(name) == name for name in found)


def test_a_licence_that_asks_for_care_or_is_missing_comes_first() -> None:
    free, shared, none = (
        Component(n, "1", licence) for n, licence in zip("abc", ("MIT", "LGPL-3.0", "not stated"), strict=True)
    )
    lines = as_table([free, shared, none]).splitlines()
    assert lines[0] == "3 packages; the first 2 have a reciprocal licence or state none."
    assert [line[2] for line in lines[4:]] == ["b", "c", "a"]


def test_the_sbom_is_cyclonedx_and_the_same_for_the_same_packages() -> None:
    found = components()
    sbom = json.loads(as_sbom(found))
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    assert as_sbom(components()) == as_sbom(found)
    references = [one["bom-ref"] for one in sbom["components"]]
    assert len(set(references)) == len(references) == len(found)
    torch = next(one for one in sbom["components"] if one["name"] == "torch")
    assert torch["purl"] == f"pkg:pypi/torch@{torch['version']}"
    assert torch["licenses"][0]["license"]["name"]
