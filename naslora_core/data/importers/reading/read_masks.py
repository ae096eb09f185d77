"""Survey the masks of a layout, and put their reading into what the layout found."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.importers.base import Found, ImportRequest, Source
from naslora_core.data.importers.legends.files import find_legends
from naslora_core.data.importers.legends.known import legend_of_paths
from naslora_core.data.importers.legends.legend import Legend
from naslora_core.data.importers.reading.by_card import as_stated
from naslora_core.data.importers.reading.by_legend import as_prescribed
from naslora_core.data.importers.reading.choose import choose
from naslora_core.data.importers.reading.survey import Survey, survey_masks
from naslora_core.data.importers.reading.understood import Understood, share
from naslora_core.errors import DataError
from naslora_core.progress import Progress, silent

_FARTHEST_UP = 2
# Of the pixels; objects that cover more may be the background.
_MOSTLY = 0.6


def read_masks(
    sources: Sequence[Source], request: ImportRequest, prescribed: Legend | None = None, survey: Survey | None = None
) -> Understood:
    """Find out how the mask files of `sources` are to be read; masks that a function makes are passed over.

    Args:
        sources: all pairs.
        request: what the user says of them.
        prescribed: the legend of the layout, which has to name every value; None looks for legends in the folders of
            the masks, those above them, and the folder of the request.
        survey: of these masks, if there is one already.

    Raises:
        DataError: if no reading fits, or several; it says what occurs, and the option of each reading.
        ConfigError: if options contradict each other or the masks.
    """
    paths = [source.mask for source in sources if isinstance(source.mask, Path)]
    survey = survey or survey_masks(paths, request.progress)
    if survey.refused or not survey.readable:
        more = f" ({len(survey.refused) - 1} more masks have such a fault)" if len(survey.refused) > 1 else ""
        raise DataError((survey.refused or survey.problems or ["there is no mask"])[0] + more)
    if prescribed is not None:
        understood = as_prescribed(survey, request, prescribed)
    else:
        promised = legend_of_paths(paths)
        legends = [*find_legends(_places(paths, request.folder)), *([promised] if promised else [])]
        understood = choose(survey, request, legends)
    notes = [*understood.notes]
    if inverted := [facts.path.name for facts in survey.readable if facts.is_inverted]:
        notes.append(
            f"{len(inverted)} masks store white as zero ({inverted[0]}); the numbers that are stored count, not the "
            "brightness that viewers show. If that exchanges objects and background: --class object=0 --class "
            "background=255"
        )
    if survey.problems:
        notes.append(f"{len(survey.problems)} masks could not be read, such as: {survey.problems[0]}")
    notes += _inside_out(understood)
    if understood.kind == "empty":
        notes.append("every mask is empty")
    return replace(understood, notes=tuple(notes), examples=_examples(survey))


def _inside_out(understood: Understood) -> list[str]:
    """Return what to say of masks of one class in which it covers most: maybe they are inverted."""
    if understood.reading not in ("grey", "values", "colours") or len(understood.classes) != 1:
        return []
    objects = [row for row in understood.meanings if row.meaning == understood.classes[0]]
    others = [row for row in understood.meanings if row.meaning == BACKGROUND]
    pixels = sum(row.pixels for row in objects)
    if pixels <= _MOSTLY * understood.total_px or len(objects) != 1 or len(others) != 1:
        return []
    said = f"{understood.classes[0]} covers {share(pixels, understood.total_px)} of the pixels"
    if " " in f"{objects[0].written}{others[0].written}":
        return [f"{said}; if objects and background are exchanged, write the masks inverted"]
    exchanged = f"--class '{understood.classes[0]}={others[0].written}' --class '{BACKGROUND}={objects[0].written}'"
    return [f"{said}; if objects and background are exchanged: {exchanged}"]


def describe(found: Found, progress: Progress = silent) -> Understood | None:
    """Return what the mask files of a layout hold that states its own encoding; None if it has no such files."""
    if found.understood is not None:
        return found.understood
    survey = survey_masks([source.mask for source in found.sources if isinstance(source.mask, Path)], progress)
    if not survey.readable:
        return None
    understood = as_stated(
        survey,
        found.classes,
        found.reading,
        found.mask_threshold,
        found.mask_values,
        found.mask_ignore or (),
        "as published",
    )
    return replace(understood, examples=_examples(survey))


def _examples(survey: Survey) -> tuple[Path, ...]:
    """Return masks that show every value, those of the rarest first."""
    tallies = [(t.images, t.examples[0]) for of_form in survey.tallies.values() for t in of_form.values() if t.examples]
    return tuple(dict.fromkeys(path for _, path in sorted(tallies)))


def with_reading(found: Found, understood: Understood) -> Found:
    """Return what a layout found with the classes and the encoding of its masks."""
    return replace(
        found,
        classes=understood.classes,
        mask_threshold=understood.mask_threshold,
        mask_values=understood.mask_values,
        mask_ignore=understood.mask_ignore,
        mask_reading=understood.reading,
        understood=understood,
        notes=(*found.notes, *understood.notes),
    )


def _places(paths: Iterable[Path], root: Path) -> list[Path]:
    """Return the folders in which a legend may lie: those of masks, and above them within `root`."""
    places: list[Path] = []
    for folder in dict.fromkeys(path.parent for path in paths):
        above = [folder, *list(folder.parents)[:_FARTHEST_UP]]
        places += [place for place in above if place == folder or place.is_relative_to(root)]
    return list(dict.fromkeys([*places, root]))
