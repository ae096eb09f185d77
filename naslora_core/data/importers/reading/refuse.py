"""Say which readings fit masks, when more than one does or none."""

from collections.abc import Mapping, Sequence

from naslora_core.data.importers.legends.legend import Legend
from naslora_core.data.importers.reading.survey import Survey, Tally
from naslora_core.data.importers.reading.understood import hexadecimal, list_values
from naslora_core.errors import DataError

_NAMED = 3


def refuse(
    survey: Survey,
    tallies: Mapping[int, Tally],
    coloured: bool,
    reason: str,
    readings: Sequence[str],
    legends: Sequence[Legend] = (),
) -> DataError:
    """Return the error that shows the values of masks, and the option for each reading.

    Args:
        survey: all masks.
        tallies: by value or colour.
        coloured: the values are colours 0xRRGGBB.
        reason: why none was chosen.
        readings: those that may be meant.
        legends: that were found and do not explain all values.
    """
    objects = [hexadecimal(value) if coloured else str(value) for value in sorted(tallies) if value or coloured]
    objects = [value for value in objects if value != "#000000"][:_NAMED] or ["1"]
    named = " ".join(f"--class {letter}={_quoted(value)}" for letter, value in zip("abc", objects, strict=False))
    more = " …" if len(tallies) - 1 > _NAMED else ""
    options = {
        "instances": "--reading instances if every value is an object of one class",
        "values": f"{named}{more} if values are classes (--ignore VALUE for what nobody labelled)",
        "colours": f"{named}{more} if colours are classes (--ignore COLOUR for what nobody labelled)"
        if coloured
        else "--class NAME='#rrggbb' for each colour if colours are classes",
        "grey": f"--threshold {_threshold(tallies, coloured)} if all from there on is one object",
        "alpha": "--reading alpha if the object is what is opaque",
    }
    beside = "".join(
        f" {'; '.join(legend.contested[:_NAMED]) or f'{legend.source} explains only some of them'}."
        for legend in legends
    )
    offered = "; ".join(options[reading] for reading in readings)
    return DataError(f"{reason}; {list_values(tallies, survey, coloured)}.{beside} Say what they mean: {offered}")


def _threshold(tallies: Mapping[int, Tally], coloured: bool) -> int:
    if coloured:
        return 1
    objects = sorted(value for value in tallies if value)
    return min(objects[0], 255) if objects and len(objects) < 256 and objects[0] > 1 and len(objects) <= 3 else 1


def _quoted(value: str) -> str:
    return f"'{value}'" if value.startswith("#") else value
