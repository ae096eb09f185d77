"""Read masks by a legend: one that lies beside them, or the one that a layout prescribes."""

from collections.abc import Mapping
from dataclasses import replace

from naslora_core.data.importers.base import ImportRequest
from naslora_core.data.importers.legends.legend import Legend
from naslora_core.data.importers.reading.asked import named_values, read_as_asked
from naslora_core.data.importers.reading.survey import Survey, Tally
from naslora_core.data.importers.reading.tallies import one_channel
from naslora_core.data.importers.reading.understood import Understood, by_values, files_of, list_values
from naslora_core.errors import DataError, few


def named_by(
    survey: Survey, request: ImportRequest, legend: Legend, tallies: Mapping[int, Tally], coloured: bool
) -> Understood:
    """Return the reading by a legend that explains all values.

    Args:
        survey: all masks.
        request: may choose among the classes, or rename the only one.
        legend: names values or colours.
        tallies: by value, or by colour 0xRRGGBB.
        coloured: whether they are by colour.

    Raises:
        DataError: if no mask shows a class, or there are more than a mask can hold.
        ConfigError: if a class is asked for that the legend does not have.
    """
    names = named_values(legend.by_colour if coloured else legend.by_value, request)
    what = "colours" if coloured else "class ids"
    return by_values(survey, names, tallies, coloured, f"{what}, named by {legend.source}")


def as_prescribed(survey: Survey, request: ImportRequest, legend: Legend) -> Understood:
    """Return the reading of masks whose layout prescribes a legend; only options may say otherwise.

    Classes without any pixel are left out, and named in the notes.

    Raises:
        DataError: if the legend does not name every value, or no mask shows a class.
        ConfigError: if options contradict each other, the legend or the masks.
    """
    if asked := read_as_asked(survey, request, [legend]):
        return asked
    coloured_files = survey.forms.get("colours", [])
    coloured = bool(legend.by_colour) and (bool(coloured_files) or not legend.by_value)
    if coloured_files and not coloured:
        raise DataError(
            f"{len(coloured_files)} masks have colours ({files_of(coloured_files)}); {legend.source} names numbers: "
            "export the masks again, or say --class NAME=#rrggbb"
        )
    tallies = survey.as_colours() if coloured else one_channel(survey)
    known = legend.by_colour if coloured else legend.by_value
    if unknown := {value: tally for value, tally in tallies.items() if value and value not in known}:
        raise DataError(
            f"{legend.source} does not name some values of the masks; add the names there, correct the masks, or give "
            f"each value a meaning: --class NAME=VALUE, --ignore VALUE. Of these, "
            f"{list_values(unknown, survey, coloured)}"
        )
    understood = named_by(survey, request, legend, tallies, coloured)
    shown = {known[value] for value in tallies if value in known}
    absent = [name for name in legend.names if name not in shown]
    notes = (f"classes without any pixel were left out: {few(absent)}",) if absent else ()
    return replace(understood, notes=notes)
