"""Which settings each stage records, and in which of its outputs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from naslora_core.reading import read_object

SIZE, NAME, VIEW = "model.image_size", "model.name", "train.view"
# No setting, but decided before a stage all the same, by the card of the dataset.
CLASSES = "classes"
# By its dotted name in params.yaml.
Settings = Mapping[str, Any]
Reader = Callable[[Mapping[str, Any]], Settings]


def section(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the settings of one section by their dotted names; none where a file has no such section."""
    found = content.get(name)
    return {f"{name}.{key}": value for key, value in found.items()} if isinstance(found, dict) else {}


def _of_widths(content: Mapping[str, Any]) -> Settings:
    return {SIZE: content["input_px"]}


def _of_verdict(content: Mapping[str, Any]) -> Settings:
    return section(content, "quality")


def _of_manifest(content: Mapping[str, Any]) -> Settings:
    recipe = content["recipe"]
    return {SIZE: recipe["image_size"], VIEW: recipe.get("view", "whole"), CLASSES: recipe["classes"]}


def of_adapter(content: Mapping[str, Any]) -> Settings:
    """Return the settings that an adapter.json records."""
    base = content["base"]
    sections = {key: value for name in ("adapter", "search", "train") for key, value in section(content, name).items()}
    named = {CLASSES: content["class_names"]} if "class_names" in content else {}
    return {NAME: base["name"], SIZE: base["image_size"], "seed": content["seed"]} | named | sections


def _of_merged(content: Mapping[str, Any]) -> Settings:
    return {CLASSES: content["origin"]["training_images"]["classes"]}


# Not in model.json, on which evaluate depends: a limit that the same model keeps would score it again.
def _of_certificate(content: Mapping[str, Any]) -> Settings:
    return section(content, "merge")


def _of_summary(content: Mapping[str, Any]) -> Settings:
    return section(content, "evaluate")


# In their order, the files of each stage that say which settings it was given.
RECORDS: dict[str, dict[str, Reader]] = {
    "validate": {"scale/widths.json": _of_widths, "verdict.json": _of_verdict},
    "preprocess": {"manifest.json": _of_manifest},
    "search_train": {"adapter.json": of_adapter},
    "merge": {"model.json": _of_merged, "certificate.json": _of_certificate},
    "evaluate": {"summary.json": _of_summary},
}


def read_recorded(file: Path, reader: Reader) -> Settings:
    """Return the settings that a file records; none if it is missing, damaged or of another kind.

    Whoever works with the file says what is wrong with it.
    """
    try:
        return reader(read_object(file))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
