"""Read the option --class: names of classes, and their mask values or colours."""

import re
from collections.abc import Sequence

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
        values = [value.strip().lower() for value in written.split(",")] if equals else []
        if all(value.isdecimal() for value in values):
            classes[name] = tuple(int(value) for value in values)
        elif all(re.fullmatch("#[0-9a-f]{6}", value) for value in values):
            classes[name] = tuple(values)
        else:
            raise ConfigError(f"--class {option}: give numbers or colours, such as {name}=1 or '{name}=#ff0000'")
    return classes
