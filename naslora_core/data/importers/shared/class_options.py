"""Read the options that say what masks hold: --class, --ignore, --reading."""

import re
from collections.abc import Sequence
from typing import get_args

from naslora_core.data.dataset.card import LARGEST_VALUE, MaskReading, MaskValues
from naslora_core.errors import ConfigError


def parse_class_options(options: Sequence[str]) -> dict[str, tuple[int, ...] | tuple[str, ...]]:
    """Read options such as weed, crop=1, soil=2,3 or sky=#00a0ff.

    Returns:
        By name, the values, all numbers or all colours "#rrggbb" in lower case; none where only a name is given.

    Raises:
        ConfigError: for a name that is empty or given twice, or a value that is neither number nor colour.
    """
    classes: dict[str, tuple[int, ...] | tuple[str, ...]] = {}
    for option in options:
        name, equals, written = (part.strip() for part in option.partition("="))
        if not name or name in classes:
            raise ConfigError(f"--class {option}: {'that class is given twice' if name else 'give it a name'}")
        values = _parse_values([written]) if equals else ()
        if values is None:
            raise ConfigError(f"--class {option}: give numbers or colours, such as {name}=1 or '{name}=#ff0000'")
        classes[name] = values
    return classes


def parse_ignored(options: Sequence[str]) -> MaskValues:
    """Read options such as 255, 254,255 or #ffffff: all numbers, or all colours "#rrggbb" in lower case.

    Raises:
        ConfigError: for a value that is neither number nor colour, or a mixture of both.
    """
    values = _parse_values(options) if options else ()
    if values is None:
        raise ConfigError(f"--ignore {' '.join(options)}: give numbers or colours, such as 255 or '#ffffff'")
    return values


def parse_reading(option: str | None) -> MaskReading | None:
    """Read the option --reading.

    Raises:
        ConfigError: for an unknown reading.
    """
    readings: tuple[MaskReading, ...] = get_args(MaskReading)
    if option is None:
        return None
    for reading in readings:
        if option.lower() in (reading, {"colours": "colors", "grey": "gray"}.get(reading)):
            return reading
    raise ConfigError(f"--reading {option} is not known; use {', '.join(readings)}")


def _parse_values(options: Sequence[str]) -> tuple[int, ...] | tuple[str, ...] | None:
    """Return values that commas divide; None if one is neither number up to 65535 nor colour, or they are mixed."""
    values = [value.strip().lower() for option in options for value in option.split(",")]
    if all(value.isdecimal() and int(value) <= LARGEST_VALUE for value in values):
        return tuple(dict.fromkeys(int(value) for value in values))
    if all(re.fullmatch("#[0-9a-f]{6}", value) for value in values):
        return tuple(dict.fromkeys(values))
    return None
