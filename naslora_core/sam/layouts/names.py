"""Rename weights between two implementations of a network, in both directions."""

import re
from collections.abc import Iterable

# Numbers of the layers of a perceptron with three, and transformers' names of them.
THREE_LAYERS = (("layers.0", "proj_in"), ("layers.1", "layers.0"), ("layers.2", "proj_out"))


class Names:
    """Pairs of names of the same layer or weight; a key is renamed by the first pair that it begins with.

    Args:
        pairs: what one implementation calls a part, and what the other does; # is a number that both share.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        pairs = tuple(pairs)
        self._forward = tuple((_pattern(one), _template(other)) for one, other in pairs)
        self._back = tuple((_pattern(other), _template(one)) for one, other in pairs)

    def other(self, key: str) -> str:
        """Return the second implementation's name of a weight or layer that the first calls `key`."""
        return _rename(key, self._forward)

    def back(self, key: str) -> str:
        """Return the first implementation's name of a weight or layer that the second calls `key`."""
        return _rename(key, self._back)


def _rename(key: str, names: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for pattern, other in names:
        if match := pattern.match(key):
            return match.expand(other) + key[match.end() :]
    return key


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\#", r"(\d+)") + r"(?![^.])")


def _template(name: str) -> str:
    numbers = iter(range(1, name.count("#") + 1))
    return re.sub("#", lambda _: rf"\g<{next(numbers)}>", name)
