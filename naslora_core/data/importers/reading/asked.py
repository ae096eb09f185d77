"""Read masks as the options of an import say."""

from collections.abc import Mapping, Sequence

from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID, MaskValues
from naslora_core.data.importers.base import ImportRequest
from naslora_core.data.importers.legends.legend import NOT_LABELLED, Legend
from naslora_core.data.importers.reading.kinds import has_ring
from naslora_core.data.importers.reading.survey import Survey
from naslora_core.data.importers.reading.tallies import levels_of, one_channel
from naslora_core.data.importers.reading.understood import (
    OBJECT,
    Understood,
    by_values,
    cut,
    files_of,
    list_values,
    number_of,
    numbered,
    transparent,
)
from naslora_core.errors import ConfigError, DataError

# Least level that is foreground where nothing says otherwise.
HALF = 128


def read_as_asked(survey: Survey, request: ImportRequest, legends: Sequence[Legend]) -> Understood | None:
    """Return the reading that the options determine; None if they leave it open.

    Raises:
        DataError: if the masks have values without a meaning, or not the form that the reading is of.
        ConfigError: if options contradict each other.
    """
    given = {name: values for name, values in request.classes.items() if values}
    reading = request.reading
    if given:
        return _explained(survey, request, given)
    if reading == "grey" or request.threshold:
        if reading not in (None, "grey"):
            raise ConfigError(f"--threshold cuts levels of grey, --reading {reading} does not; give one of them")
        levels = levels_of(survey)
        return cut(
            survey, request.threshold or HALF, _numbers(request.ignore), only_class(request, legends), "grey", levels
        )
    if reading == "alpha":
        if without := [facts.path for facts in survey.readable if facts.alpha is None]:
            raise DataError(
                f"{len(without)} masks have no alpha channel ({files_of(without)}); choose another --reading"
            )
        return transparent(survey, only_class(request, legends), "alpha channel")
    if reading == "instances":
        if coloured := survey.forms.get("colours"):
            raise DataError(
                f"{len(coloured)} masks have colours ({files_of(coloured)}), --reading instances is for numbers; if "
                "every colour is an object of one class, give --threshold 1"
            )
        tallies = one_channel(survey)
        return numbered(survey, _numbers(request.ignore), only_class(request, legends), tallies, "numbers of objects")
    if reading in ("values", "colours") or request.ignore:
        return _named_by_legend(survey, request, legends, reading)
    return None


def only_class(request: ImportRequest, legends: Sequence[Legend]) -> str:
    """Return the name of the only class: as asked, as a legend of one class says, or "object"."""
    asked = [name for name in request.classes if name != BACKGROUND]
    if len(asked) > 1:
        raise ConfigError(f"--class {asked[0]} needs the value that means it in a mask: --class {asked[0]}=1")
    if asked:
        return asked[0]
    single = [legend.names[0] for legend in legends if len(legend.names) == 1]
    return single[0] if single else OBJECT


def named_values(names: Mapping[int, str], request: ImportRequest) -> dict[int, str]:
    """Return what values mean, when of the classes of a legend only those asked for stay, or the only one is renamed.

    Raises:
        ConfigError: if one asked for is not in the legend.
    """
    asked = list(request.classes)
    meant = {v: NOT_LABELLED for v in request.ignore if isinstance(v, int)}
    classes = dict.fromkeys(name for name in names.values() if name not in (BACKGROUND, NOT_LABELLED))
    if not asked:
        return dict(names) | meant
    if len(asked) == 1 and len(classes) == 1 and asked[0] not in classes:
        return {v: asked[0] if name in classes else name for v, name in names.items()} | meant
    if unknown := [name for name in asked if name not in classes]:
        raise ConfigError(f"--class {unknown[0]} is not in the legend, which has {', '.join(list(classes)[:8])}")
    kept = {*asked, NOT_LABELLED}
    return {v: name if name in kept else BACKGROUND for v, name in names.items()} | meant


def _explained(survey: Survey, request: ImportRequest, given: Mapping[str, MaskValues]) -> Understood:
    if without := [name for name in request.classes if name not in given]:
        raise ConfigError(f"--class {without[0]} needs the value that means it in a mask: --class {without[0]}=1")
    if request.threshold:
        raise ConfigError("--threshold cuts grey levels, --class NAME=VALUE reads values; give one of them")
    listed = [*request.ignore, *(value for values in given.values() for value in values)]
    coloured = isinstance(listed[0], str)
    if any(isinstance(value, str) != coloured for value in listed):
        raise ConfigError(
            "--class and --ignore must be all numbers or all colours; a palette file can be read by either"
        )
    if request.reading not in (None, "colours" if coloured else "values"):
        raise ConfigError(f"--reading {request.reading} does not go with values of --class; leave one of them out")
    if not coloured and (found := survey.forms.get("colours")):
        raise DataError(
            f"{len(found)} masks have colours ({files_of(found)}), --class numbers; say --class NAME=#rrggbb"
        )
    tallies = survey.as_colours() if coloured else one_channel(survey)
    names = {number_of(value): NOT_LABELLED for value in request.ignore}
    names |= {number_of(value): name for name, values in given.items() for value in values}
    unknown = {value: tally for value, tally in tallies.items() if value and value not in names}
    if not coloured and set(unknown) == {IGNORED_ID} and max(names) < HALF and (len(given) > 1 or has_ring(survey)):
        names, unknown = names | {IGNORED_ID: NOT_LABELLED}, {}
    if unknown:
        raise DataError(
            "some values of the masks have no meaning yet; add --class NAME=VALUE, --class background=VALUE or "
            f"--ignore VALUE for them. Of these, {list_values(unknown, survey, coloured)}"
        )
    return by_values(survey, names, tallies, coloured, "as --class says", keep=(*given, NOT_LABELLED))


def _named_by_legend(
    survey: Survey, request: ImportRequest, legends: Sequence[Legend], reading: str | None
) -> Understood | None:
    """Return the reading by a legend, or that of one value, once the ignored ones are left out."""
    ignored = {number_of(value): NOT_LABELLED for value in request.ignore}
    coloured = reading == "colours" or any(isinstance(value, str) for value in request.ignore)
    if not coloured and survey.forms.get("colours"):
        if reading is None:
            raise ConfigError("--ignore: these masks have colours; give one, such as --ignore '#ffffff'")
        raise DataError("--reading values: these masks have colours; use --reading colours")
    tallies = survey.as_colours() if coloured else one_channel(survey)
    for legend in legends:
        if legend.explains((value for value in tallies if value not in ignored), coloured):
            names = named_values(legend.by_colour if coloured else legend.by_value, request) | ignored
            return by_values(survey, names, tallies, coloured, f"named by {legend.source}", keep=(NOT_LABELLED,))
    objects = [value for value in tallies if value and value not in ignored]
    if len(objects) == 1:
        names = {objects[0]: only_class(request, legends)} | ignored
        return by_values(survey, names, tallies, coloured, "binary", keep=(NOT_LABELLED,))
    raise DataError(
        f"several values may mean a class; name each: --class NAME={'#rrggbb' if coloured else '1'} …, or say "
        f"--reading instances. {list_values(tallies, survey, coloured)}"
    )


def _numbers(ignored: MaskValues) -> MaskValues:
    if any(isinstance(value, str) for value in ignored):
        raise ConfigError("--ignore: this reading has numbers; give one, such as --ignore 255")
    return ignored
