"""A few of many, evenly spaced and without a random draw: images to show or to start from, layers to draw."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """Return the first item of each of `count` stretches that are as equal as can be; all items if there are fewer."""
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]


def first_to_last(items: Sequence[Item], count: int) -> list[Item]:
    """Return `count` items, the first and the last among them; all if there are fewer.

    Other items than those of `evenly_spaced`, which never takes the last.
    """
    places = np.linspace(0, len(items) - 1, min(count, len(items)))
    return [items[place] for place in sorted({round(place) for place in places})]
