"""What the import understood of a set of masks, in the terms of the dataset's card."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND, MOST_CLASSES, MaskReading, MaskValues
from naslora_core.data.importers.legends.legend import NOT_LABELLED
from naslora_core.data.importers.reading.survey import Survey, Tally
from naslora_core.errors import DataError, few

# Where nothing says what the only class is.
OBJECT = "object"
# Of the values in a message or table.
_SHOWN = 8


@dataclass(frozen=True)
class Meaning:
    """What some stored values mean: how many pixels have them, in how many images."""

    written: str
    meaning: str
    pixels: int
    images: int


@dataclass(frozen=True)
class Understood:
    """A reading of masks; `reading`, `classes` and the fields that begin with `mask_` are those of `DatasetCard`.

    Attributes:
        kind: what the masks are, in words.
        meanings: one for each line of the table.
        files: how many masks were read.
        total_px: their pixels.
        examples: masks that show each meaning.
        notes: what else the user should know.
    """

    kind: str
    reading: MaskReading
    classes: tuple[str, ...]
    meanings: tuple[Meaning, ...]
    files: int
    total_px: int
    mask_threshold: int | None = None
    mask_values: Mapping[str, MaskValues] | None = None
    mask_ignore: MaskValues = ()
    examples: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def cut(
    survey: Survey, threshold: int, ignored: MaskValues, name: str, kind: str, levels: Mapping[int, Tally]
) -> Understood:
    """Return the reading of masks that are cut at a level.

    Args:
        survey: all masks.
        threshold: least level that is foreground.
        ignored: levels that nobody labelled.
        name: of the class.
        kind: in words.
        levels: tallies by level.
    """
    below = [level for level in levels if level < threshold and level not in ignored]
    above = [level for level in levels if level >= threshold and level not in ignored]
    spans = (str(below[0]) if len(below) == 1 else f"0 to {threshold - 1}",
             str(above[0]) if len(above) == 1 else f"{threshold} and more")  # fmt: skip
    rows = [_sum(spans[0], BACKGROUND, survey, levels, below), _sum(spans[1], name, survey, levels, above)]
    rows += [_row(str(v), NOT_LABELLED, levels[v]) for v in levels if v in ignored]
    return Understood(kind, "grey", (name,), tuple(rows), len(survey.readable), survey.total_px,
                      mask_threshold=threshold, mask_ignore=ignored)  # fmt: skip


def by_values(
    survey: Survey, names: Mapping[int, str], tallies: Mapping[int, Tally], coloured: bool, kind: str,
    keep: Iterable[str] = (),
) -> Understood:  # fmt: skip
    """Return the reading of masks whose values or colours have names.

    Args:
        survey: all masks.
        names: what each value means; 0 and black are the background if they are not in it.
        tallies: by value or colour.
        coloured: the values are colours 0xRRGGBB.
        kind: in words.
        keep: classes that stay although no mask has them.

    Raises:
        DataError: if there is no class, or more than a mask can hold.
    """
    used = {value: names.get(value, BACKGROUND) for value in sorted(tallies)} | {
        value: name for value, name in names.items() if name in set(keep)
    }
    classes = tuple(
        name
        for name in dict.fromkeys(names.values())
        if name in used.values() and name not in (BACKGROUND, NOT_LABELLED)
    )
    if not 0 < len(classes) <= MOST_CLASSES:
        raise DataError(
            f"the masks hold {len(classes)} classes ({kind}); expected 1 to {MOST_CLASSES}. Say what their values "
            f"mean: --class NAME=VALUE; {list_values(tallies, survey, coloured)}"
        )

    def values_of(name: str) -> MaskValues:
        listed = sorted(value for value, meaning in used.items() if meaning == name)
        return tuple(map(hexadecimal, listed)) if coloured else tuple(listed)

    values = {name: values_of(name) for name in classes}
    if background := tuple(value for value in values_of(BACKGROUND) if value not in (0, "#000000")):
        values[BACKGROUND] = background  # type: ignore[assignment]
    rows = [_row(hexadecimal(v) if coloured else str(v), used[v], tally) for v, tally in sorted(tallies.items())]
    return Understood(kind, "colours" if coloured else "values", classes, tuple(rows), len(survey.readable),
                      survey.total_px, mask_values=values, mask_ignore=values_of(NOT_LABELLED))  # fmt: skip


def numbered(survey: Survey, ignored: MaskValues, name: str, tallies: Mapping[int, Tally], kind: str) -> Understood:
    """Return the reading of masks that hold numbers of objects, of one class."""
    objects = [value for value in tallies if value and value not in ignored]
    rows = [_sum("0", BACKGROUND, survey, tallies, [0] if 0 in tallies else [])]
    rows += [_sum(f"{min(objects)} to {max(objects)}", name, survey, tallies, objects)] if objects else []
    rows += [_row(str(v), NOT_LABELLED, tallies[v]) for v in tallies if v in ignored]
    return Understood(kind, "instances", (name,), tuple(rows), len(survey.readable), survey.total_px,
                      mask_ignore=ignored)  # fmt: skip


def transparent(survey: Survey, name: str, kind: str) -> Understood:
    """Return the reading of masks that are the alpha channel."""
    found = [facts.alpha for facts in survey.readable if facts.alpha]
    rows = (
        Meaning("alpha 0 to 127", BACKGROUND, sum(a.clear_px for a in found), sum(a.clear_px > 0 for a in found)),
        Meaning("alpha 128 to 255", name, sum(a.opaque_px for a in found), sum(a.opaque_px > 0 for a in found)),
    )
    return Understood(kind, "alpha", (name,), rows, len(survey.readable), survey.total_px)


def list_values(tallies: Mapping[int, Tally], survey: Survey, coloured: bool) -> str:
    """List the most frequent values with their shares, images and an example, in a line of bounded length."""
    total = survey.total_px or 1
    shown = sorted(tallies.items(), key=lambda entry: -entry[1].pixels)[:_SHOWN]
    parts = [
        f"{hexadecimal(value) if coloured else value} ({share(tally.pixels, total)} of the pixels, "
        f"{tally.images} images, as in {tally.examples[0].name})"
        for value, tally in sorted(shown)
    ]
    more = f", and {len(tallies) - _SHOWN:,} more" if len(tallies) > _SHOWN else ""
    return f"{len(tallies):,} values occur: " + ", ".join(parts) + more


def share(pixels: int, total: int) -> str:
    """Write a share of pixels with three digits, in percent."""
    return f"{100 * pixels / (total or 1):.3g} %"


def number_of(value: int | str) -> int:
    """Return a value of a card as a number; of a colour 0xRRGGBB."""
    return int(value[1:], 16) if isinstance(value, str) else value


def hexadecimal(colour: int) -> str:
    """Return a colour 0xRRGGBB as cards write it."""
    return f"#{colour:06x}"


def _row(written: str, meaning: str, tally: Tally) -> Meaning:
    return Meaning(written, meaning, tally.pixels, tally.images)


def _sum(written: str, meaning: str, survey: Survey, tallies: Mapping[int, Tally], values: list[int]) -> Meaning:
    wanted = set(values)
    if set(survey.forms) <= {"grey"} or any(tallies is of_form for of_form in survey.tallies.values()):
        images = sum(not wanted.isdisjoint(facts.values) for facts in survey.readable)
    else:
        # Levels of colours are no values of the files; one of them is at least in so many.
        images = max((tallies[value].images for value in values), default=0)
    return Meaning(written, meaning, sum(tallies[value].pixels for value in values), images)


def files_of(paths: Iterable[Path]) -> str:
    """Name up to three files."""
    return few((path.name for path in paths), 3)
