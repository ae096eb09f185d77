"""The legend of a set of masks: the meaning of its values, of its colours, or of both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID

# Names by which programs call what is no object, and what nobody labelled.
_BACKGROUND_NAMES = frozenset({"background", "_background_", "__background__", "bg"})
_IGNORED_NAMES = frozenset({
    "__ignore__", "_ignore_", "ignore", "ignored", "void", "_void_", "unlabeled", "unlabelled", "don't care",
})  # fmt: skip
# Stands for pixels that nobody labelled, where names of classes are expected.
NOT_LABELLED = "(not labelled)"


@dataclass(frozen=True)
class Legend:
    """What values and colours mean: names of classes, `BACKGROUND` or `NOT_LABELLED`.

    Attributes:
        source: where it was found, as the user is told.
        by_value: names by stored value, or palette index.
        by_colour: names by colour, 0xRRGGBB.
        sure_with: the value that has to occur for its numbers to be sure; None if they are.
        contested: values that it gives to several classes, in words; they have no meaning.
    """

    source: str
    by_value: dict[int, str] = field(default_factory=dict)
    by_colour: dict[int, str] = field(default_factory=dict)
    sure_with: int | None = None
    contested: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in the legend's order."""
        listed = [*self.by_value.values(), *self.by_colour.values()]
        return tuple(name for name in dict.fromkeys(listed) if name not in (BACKGROUND, NOT_LABELLED))

    def explains(self, values: Iterable[int], colours: bool) -> bool:
        """Return whether it has a meaning for each value; for 0 and black it always has."""
        known = self.by_colour if colours else self.by_value
        found = set(values)
        sure = colours or self.sure_with is None or self.sure_with in found
        return bool(known) and sure and found <= known.keys() | {0}


def legend_of_entries(source: str, entries: Iterable[tuple[int, str]], colours: bool) -> Legend:
    """Return the legend of values, or colours, and names as written; values that several classes claim mean nothing."""
    names: dict[int, list[str]] = {}
    for value, written in entries:
        if (name := plain_name(written)) not in (claims := names.setdefault(value, [])):
            claims.append(name)
    contested = {value: claims for value, claims in names.items() if len(claims) > 1}
    known = {value: claims[0] for value, claims in names.items() if value not in contested}
    said = tuple(
        f"{source} gives {f'#{value:06x}' if colours else value} to {' and '.join(claims[:3])}"
        for value, claims in contested.items()
    )
    return Legend(source, {} if colours else known, known if colours else {}, contested=said)


def disagreement(legends: Sequence[Legend], values: Iterable[int], colours: bool) -> str:
    """Return how legends that explain all values contradict each other, in words; "" if they agree."""
    found = [(one, one.by_colour if colours else one.by_value) for one in legends if one.explains(values, colours)]
    for value in values:
        said = {names[value]: legend.source for legend, names in reversed(found) if value in names}
        if len({name.casefold() for name in said}) > 1:
            written = f"#{value:06x}" if colours else str(value)
            (other, its), (name, first) = list(said.items())[0], list(said.items())[-1]
            return f"{written} is {name} in {first}, and {other} in {its}"
    return ""


def plain_name(written: str) -> str:
    """Return a name of a legend as that of a class, `BACKGROUND` or `NOT_LABELLED`."""
    name = written.strip()
    if name.lower() in _BACKGROUND_NAMES:
        return BACKGROUND
    return NOT_LABELLED if name.lower() in _IGNORED_NAMES else name


def legend_of_list(source: str, names: Sequence[str]) -> Legend:
    """Return the legend of a list of names, whose values are their places.

    A list that begins with what is ignored counts from -1, as labelme has it, one that begins with the background
    from 0, and any other from 1, which is sure only where its last number occurs. 255 is what nobody labelled, unless
    the list is as long.
    """
    plain = [plain_name(name) for name in names]
    first = -1 if plain[:1] == [NOT_LABELLED] else 0 if plain[:1] == [BACKGROUND] else 1
    by_value = {number: name for number, name in enumerate(plain, start=first) if number >= 0}
    return Legend(source, {IGNORED_ID: NOT_LABELLED} | by_value, sure_with=len(plain) if first == 1 else None)
