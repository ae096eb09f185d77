"""Named entries of one kind: operations, adapter methods, importers, metrics."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from naslora_core.errors import ConfigError

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Map names to entries; a duplicate name raises and an unknown one lists the known.

    Args:
        kind: what the entries are, in the singular, as error messages say it ("operation").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that adds its target under `name`.

        Raises:
            ConfigError: if the name is taken.
        """
        if name in self._entries:
            raise ConfigError(f"{self.kind} '{name}' is registered twice; choose another name")

        def add(entry: Entry) -> Entry:
            self._entries[name] = entry
            return entry

        return add

    def __getitem__(self, name: str) -> Entry:
        """Return the entry called `name`.

        Raises:
            ConfigError: if there is none; the message lists the known names.
        """
        if name not in self._entries:
            raise ConfigError(f"unknown {self.kind} '{name}'; known: {', '.join(sorted(self._entries))}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
