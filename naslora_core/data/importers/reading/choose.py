"""Choose the only reading that fits a survey of masks, or refuse with the choice between those that do."""

from collections.abc import Mapping, Sequence

from naslora_core.data.dataset.card import IGNORED_ID, MaskValues
from naslora_core.data.importers.base import ImportRequest
from naslora_core.data.importers.legends.known import legend_of_colours, legend_of_palette
from naslora_core.data.importers.legends.legend import NOT_LABELLED, Legend, disagreement
from naslora_core.data.importers.reading.asked import HALF, only_class, read_as_asked
from naslora_core.data.importers.reading.by_legend import named_by
from naslora_core.data.importers.reading.kinds import (
    are_numbers_of_objects,
    has_ring,
    is_soft,
    main_colour,
    shows_the_same_as_alpha,
)
from naslora_core.data.importers.reading.refuse import refuse
from naslora_core.data.importers.reading.survey import Survey, Tally
from naslora_core.data.importers.reading.tallies import levels_of, one_channel
from naslora_core.data.importers.reading.understood import (
    Understood,
    by_values,
    cut,
    files_of,
    hexadecimal,
    list_values,
    numbered,
    transparent,
)
from naslora_core.errors import DataError


def choose(survey: Survey, request: ImportRequest, legends: Sequence[Legend]) -> Understood:
    """Choose a reading: the one that is asked for, else the only one that fits.

    Args:
        survey: all masks.
        request: what the user says of them: reading, threshold, classes, ignored values.
        legends: found beside the masks, the most trustworthy first.

    Raises:
        DataError: if no reading fits, or several; it says what occurs, and the option of each reading.
        ConfigError: if options contradict each other or the masks.
    """
    if not any(request.classes.values()) and request.reading in (None, "values", "colours") and not request.threshold:
        _require_agreement(survey, legends)
    asked = read_as_asked(survey, request, legends)
    return asked or _transparency(survey, request) or _pixels(survey, request, legends)


def _require_agreement(survey: Survey, legends: Sequence[Legend]) -> None:
    """Raise DataError if two legends explain the masks, each in its own way."""
    if len(legends) < 2:
        return
    by_value = "" if "colours" in survey.forms else disagreement(legends, one_channel(survey), colours=False)
    if found := by_value or disagreement(legends, survey.as_colours(), colours=True):
        raise DataError(
            f"two legends contradict each other: {found}; remove or rename the wrong one, or say what each value "
            "means: --class NAME=VALUE"
        )


def _transparency(survey: Survey, request: ImportRequest) -> Understood | None:
    """Return the reading of the alpha channel if it holds the masks, None if it says nothing of its own."""
    found = [facts for facts in survey.readable if facts.alpha is not None]
    alphas = [facts.alpha for facts in found if facts.alpha is not None]
    if not any(a.opaque_px for a in alphas) or not any(a.clear_px for a in alphas):
        return None
    # What is seen is a picture or a single colour, neither of which is a mask.
    pictures = [facts.is_photograph or len(facts.values) > HALF for facts in found]
    is_same = shows_the_same_as_alpha(survey)
    says_nothing = all(len(facts.values) == 1 or shown for facts, shown in zip(found, pictures, strict=True))
    if says_nothing and len(found) == len(survey.readable) and (any(pictures) or not is_same):
        return transparent(survey, only_class(request, ()), "alpha channel")
    if is_same:
        return None
    raise refuse(
        survey, survey.as_colours(), True,
        f"{len(found)} of {len(survey.readable)} masks have an alpha channel that differs from what their colours say",
        ("alpha", "grey", "colours"),
    )  # fmt: skip


def _pixels(survey: Survey, request: ImportRequest, legends: Sequence[Legend]) -> Understood:
    forms = list(survey.forms)
    if len(forms) > 1:
        deep = [form for form in forms if max(survey.tallies[form]) > IGNORED_ID and form != "colours"]
        if deep or any(facts.is_lossy for facts in survey.readable):
            examples = "; ".join(f"{form}: {files_of(paths)}" for form, paths in survey.forms.items())
            raise DataError(f"the masks are of several kinds ({examples}), which no reading fits; convert them to one")
        return _colours(survey, request, legends, survey.as_colours())
    if forms == ["colours"]:
        return _colours(survey, request, legends, survey.as_colours())
    if forms == ["palette"]:
        return _palette(survey, request, legends)
    return _grey(survey, request, legends)


def _palette(survey: Survey, request: ImportRequest, legends: Sequence[Legend]) -> Understood:
    tallies = survey.tallies["palette"]
    colours = {value: tally.colours for value, tally in tallies.items()}
    known = legend_of_palette(colours)
    # Programs that shrink files renumber palettes, each in its own way: then the colours are what was drawn.
    renumbered = any(len(of_value) > 1 for of_value in colours.values())
    unusual = colours.get(0, {0}) != {0}
    of_index = {value: min(of_value) for value, of_value in colours.items()}
    for legend in [*legends, *([known] if known else [])]:
        drawn = all(of_value <= legend.by_colour.keys() | {0} for of_value in colours.values())
        if legend.by_colour and drawn and (renumbered or unusual):
            return named_by(survey, request, legend, survey.as_colours(), coloured=True)
        if legend.by_colour and drawn:
            names = {
                value: legend.by_colour[colour] for value, colour in of_index.items() if colour in legend.by_colour
            }
            return named_by(survey, request, Legend(legend.source, names), tallies, coloured=False)
        if not legend.by_colour and not renumbered and legend.explains(tallies, colours=False):
            return named_by(survey, request, legend, tallies, coloured=False)
    if renumbered:
        return _colours(survey, request, legends, survey.as_colours())
    if unusual:
        raise refuse(
            survey, tallies, False,
            f"index 0 of the palettes is not black but {hexadecimal(of_index[0])}, so that indices and colours "
            f"disagree on what is background (by colour: {list_values(survey.as_colours(), survey, True)}); by index",
            ("values", "instances", "colours"), legends,
        )  # fmt: skip
    return _numbers(survey, request, legends, tallies, "palette")


def _grey(survey: Survey, request: ImportRequest, legends: Sequence[Legend]) -> Understood:
    tallies = survey.tallies.get("grey") or survey.tallies.get("palette") or survey.as_colours()
    objects = [value for value in tallies if value]
    if not objects:
        return cut(survey, HALF, (), only_class(request, legends), "empty", tallies)
    for legend in legends:
        if legend.explains(tallies, colours=False) and set(legend.names) & {legend.by_value.get(v) for v in tallies}:
            return named_by(survey, request, legend, tallies, coloured=False)
    if is_soft(survey, tallies):
        return cut(survey, HALF, (), only_class(request, legends), "grey with soft edges", tallies)
    return _numbers(survey, request, legends, tallies, "grey")


def _numbers(
    survey: Survey, request: ImportRequest, legends: Sequence[Legend], tallies: Mapping[int, Tally], form: str
) -> Understood:
    """Return the reading of masks of whole numbers that no legend explains."""
    name = only_class(request, legends)
    objects = sorted(value for value in tallies if value)
    beside = [value for value in objects if value != IGNORED_ID]
    if objects == beside[:1] or objects == [IGNORED_ID]:
        only = objects[0]
        if 0 not in tallies:
            raise refuse(survey, tallies, False, f"every pixel of every mask is {only}", ("values", "grey"))
        if form == "palette":
            return by_values(survey, {only: name}, tallies, False, "binary")
        # Later masks of the same kind may have soft edges, as long as they leave the ends of the scale.
        threshold = HALF if only >= HALF else only
        return cut(survey, threshold, (), name, "binary", tallies)
    ignored = _ignored_beside(survey, objects)
    if len(beside) == 1 and ignored and 0 in tallies:
        names = {beside[0]: name, IGNORED_ID: NOT_LABELLED}
        return by_values(survey, names, tallies, False, "binary, with a border that nobody labelled")
    if are_numbers_of_objects(survey, ignored):
        return numbered(survey, ignored, name, tallies, "numbers of objects")
    raise refuse(survey, tallies, False, _why(survey, tallies), ("instances", "values", "grey"), legends)


def _ignored_beside(survey: Survey, objects: Sequence[int]) -> MaskValues:
    """Return (255,) where it is no class: it lies round the objects, or stands apart from several small numbers."""
    beside = [value for value in objects if value != IGNORED_ID]
    if IGNORED_ID not in objects or not beside or max(beside) >= IGNORED_ID - 1:
        return ()
    several = len(beside) > 1 and max(beside) < HALF
    return (IGNORED_ID,) if several or (max(beside) < HALF and has_ring(survey)) else ()


def _colours(
    survey: Survey, request: ImportRequest, legends: Sequence[Legend], tallies: Mapping[int, Tally]
) -> Understood:
    known = legend_of_colours(tallies)
    for legend in [*legends, *([known] if known else [])]:
        if legend.explains(tallies, colours=True):
            return named_by(survey, request, legend, tallies, coloured=True)
    name = only_class(request, legends)
    objects = [colour for colour in tallies if colour]
    if len(objects) == 1 and 0 in tallies:
        return by_values(survey, {objects[0]: name}, tallies, True, "binary, in a colour")
    if any(facts.is_lossy for facts in survey.readable) and (colour := main_colour(tallies)):
        kind = f"one colour, about {colour}, with soft edges"
        return cut(survey, HALF, (), name, kind, levels_of(survey))
    raise refuse(survey, tallies, True, _why(survey, tallies), ("colours", "grey"), legends)


def _why(survey: Survey, tallies: Mapping[int, Tally]) -> str:
    lossy = [facts.path for facts in survey.readable if facts.is_lossy and len(facts.values) > 2]
    photographs = [facts.path for facts in survey.readable if facts.is_photograph]
    if photographs:
        return (
            f"{len(photographs)} of {len(survey.readable)} masks have the colours of a photograph "
            f"({files_of(photographs)}); are images and masks exchanged?"
        )
    if lossy:
        return (
            f"compression (JPEG or the like) has changed the values of the masks ({files_of(lossy)}); get them as PNG, "
            "or say how to cut them"
        )
    if 0 not in tallies:
        return "no pixel is 0 or black, the usual background"
    return "several readings fit these masks"
