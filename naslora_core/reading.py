"""Read JSON and YAML from untrusted files: size and nesting are checked before anything is built.

Both raise ValueError for whatever is wrong with a text, so that a reader has one thing to turn into its own message;
`read_model` does that for the files whose format has a number.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from naslora_core.errors import NasLoraError

Model = TypeVar("Model", bound=BaseModel)

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# The largest settings there are list a few thousand names.
MOST_CHARACTERS, MOST_NODES, DEEPEST = 1 << 20, 200_000, 64


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not JSON in UTF-8, or nested deeper than a parser goes.
    """
    text = path.read_text(encoding="utf-8-sig")
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if _SURROGATE.search(text):
        # Half a letter can be escaped in JSON, and written to no file afterwards; the encoder finds it.
        json.dumps(content, ensure_ascii=False).encode()
    return content


def read_object(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file that holds an object; raises as `read_json`, and if it holds another thing."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, expected an object with names and values")
    return content


def read_model(
    path: Path, model: type[Model], expected: int, remedy: str, error: type[NasLoraError], fault: str = "cannot be read"
) -> Model:
    """Return the content of a JSON file with a format number, validated by a pydantic model.

    Args:
        path: of the file; one that says no version has the first, which wrote none.
        model: what the file has to hold.
        expected: the version this code writes.
        remedy: what to do about a file of another version, or a damaged one.
        error: what to raise.
        fault: what to say of a file that is missing, is no JSON or does not fit the model.

    Raises:
        NasLoraError: of the class `error`, if the file has such a fault, is of another version, or is refused by the
            system, about which `remedy` would change nothing.
    """
    try:
        content = read_object(path)
        require_format(content.get("format", 1), expected, path, remedy, error)
        return validate(content, model, path, remedy, error, fault)
    except (FileNotFoundError, ValueError) as reason:
        raise error(f"{path} {fault} ({reason}); {remedy}") from reason
    except OSError as reason:
        raise error(f"{path} cannot be read ({reason}); look at its permissions and the disk it is on") from reason


def validate(
    content: object,
    model: type[Model],
    path: Path,
    remedy: str,
    error: type[NasLoraError],
    fault: str = "cannot be read",
) -> Model:
    """Return what a file holds, or a part of it, validated by a pydantic model.

    Raises:
        NasLoraError: of the class `error`, if it does not fit the model.
    """
    try:
        return model.model_validate(content)
    except ValidationError as reason:
        raise error(f"{path} {fault} ({_in_one_line(reason)}); {remedy}") from reason


def _in_one_line(error: ValidationError) -> str:
    """Say which fields are wrong and why, without the name of the class that they were checked against."""
    places = [(".".join(map(str, detail["loc"])) or "the file", detail["msg"]) for detail in error.errors()]
    return "; ".join(f"{place}: {message}" for place, message in places)


def parse_yaml(text: str) -> Any:
    """Parse a YAML text into plain values, lists and mappings, never into objects that its tags name.

    Raises:
        ValueError: if it is not YAML, has a tag beyond those of YAML itself, or is too large, too deep, or would be
            when its aliases are followed.
    """
    measure_yaml(text)
    try:
        return YAML(typ="safe").load(text)
    # Values such as a month 13 or the bool "x" fail where they are built, each in a way of its own.
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def measure_yaml(text: str) -> None:
    """Check size and nesting of a YAML text from its parse events, before objects are built.

    The parser recurses in C, where a deep text ends the process; and a few aliases of aliases make a text of some
    lines stand for billions of values.

    Raises:
        ValueError: if it is not YAML, or too large, too deep, or would be when its aliases are followed.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters, and at most {MOST_CHARACTERS:,} are read")
    # Of every open collection the nodes in it, and its anchor; the first entry is the text as a whole.
    counts, anchors = [0], [""]
    sizes: dict[str, int] = {}
    try:
        for event in YAML(typ="safe").parse(text):
            if isinstance(event, SequenceEndEvent | MappingEndEvent):
                nodes = counts.pop()
                sizes[anchors.pop()] = nodes
            elif isinstance(event, SequenceStartEvent | MappingStartEvent):
                counts.append(1)
                anchors.append(event.anchor or "")
                sizes.pop(event.anchor or "", None)
                nodes = 0
            elif isinstance(event, AliasEvent):
                nodes = _size_of(event.anchor, sizes)
            else:
                nodes = int(isinstance(event, NodeEvent))
                sizes |= {event.anchor: 1} if nodes and event.anchor else {}
            counts[-1] += nodes
            if counts[-1] > MOST_NODES or len(counts) > DEEPEST:
                raise ValueError(f"it holds more than {MOST_NODES:,} values, or is nested more than {DEEPEST} deep")
    except YAMLError as error:
        raise ValueError(str(error)) from error


def _size_of(anchor: str, sizes: Mapping[str, int]) -> int:
    if anchor not in sizes:
        raise ValueError(f"the alias *{anchor} has no anchor before it, or is part of what it stands for")
    return sizes[anchor]


def require_format(found: object, expected: int, path: Path, remedy: str, error: type[NasLoraError]) -> None:
    """Check that a file has the format number this code reads.

    Args:
        found: what the file says its version is; None where it says nothing.
        expected: the version this code writes.
        path: of the file.
        remedy: how to make an older file anew.
        error: what to raise.

    Raises:
        NasLoraError: of the class `error`, if not.
    """
    if found == expected and not isinstance(found, bool):
        return
    if isinstance(found, int) and found > expected:
        remedy = "a newer naslora wrote it: update this one"
    raise error(f"{path} has format {found}, this version reads {expected}; {remedy}")
