"""Masks whose stored values or colours a legend explains: survey them all, and build what was found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.dataset.duplicates import use_one_thread
from naslora_core.data.dataset.image_files.pixels import load_picture, to_colours, to_indices
from naslora_core.data.importers.base import Found, ImportRequest, Source
from naslora_core.data.importers.shared.object_formats import choose_classes
from naslora_core.errors import DataError
from naslora_core.parallel import parallel_map, worker_count

# Starting a process and its imports takes as long as reading about as many masks here.
_WORTH_A_PROCESS = 400
_EXAMPLES = 5


@dataclass(frozen=True)
class ValueLegend:
    """What the values of masks mean; 0 or black that has no name is the background.

    Attributes:
        source: where the names come from, for error messages.
        names: of classes, by stored value or colour 0xRRGGBB; `BACKGROUND` may be among them.
        ignored: values or colours of pixels that nobody labelled.
        coloured: whether they are colours.
    """

    source: str
    names: Mapping[int, str]
    ignored: frozenset[int] = frozenset()
    coloured: bool = False

    def write(self, value: int) -> int | str:
        """Return a value as `DatasetCard` has it."""
        return f"#{value:06x}" if self.coloured else value


@dataclass
class ValueSurvey:
    """The values of masks.

    Attributes:
        pixels: how many there are of each value.
        files: how many files hold it.
        example: the first file that holds it.
        values: of every file that could be read.
        broken: why the others could not be.
    """

    pixels: dict[int, int] = field(default_factory=dict)
    files: dict[int, int] = field(default_factory=dict)
    example: dict[int, Path] = field(default_factory=dict)
    values: dict[Path, frozenset[int]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def survey_values(masks: Sequence[Path], coloured: bool = False) -> ValueSurvey:
    """Count the stored values of masks (of palette files the indices), or their colours 0xRRGGBB.

    A file that cannot be read is left to the gate, which reports it together with all others.

    Raises:
        DataError: if none can be read.
    """
    survey = ValueSurvey()
    work = _colours_of if coloured else _values_of
    with parallel_map(work, worker_count(len(masks), _WORTH_A_PROCESS), "reads masks", use_one_thread) as mapped:
        for path, counted in zip(masks, mapped(masks), strict=True):
            if isinstance(counted, str):
                survey.broken.append(counted)
                continue
            survey.values[path] = frozenset(counted)
            for value, pixels in counted.items():
                survey.pixels[value] = survey.pixels.get(value, 0) + pixels
                survey.files[value] = survey.files.get(value, 0) + 1
                survey.example.setdefault(value, path)
    if masks and not survey.values:
        raise DataError(f"of {len(masks)} masks none can be read; the first: {survey.broken[0]}")
    return survey


def found_by_values(
    sources: Iterable[Source],
    legend: ValueLegend,
    request: ImportRequest,
    form: str,
    notes: Sequence[str] = (),
    survey: ValueSurvey | None = None,
) -> Found:
    """Return the `Found` of masks that are copied as they are; classes without a pixel are left out, and named.

    Args:
        sources: all pairs; masks are paths.
        legend: what the values mean.
        request: may choose among the classes; pixels of the others become background.
        form: the name of the layout.
        notes: what else there is to tell.
        survey: of the masks, if it was made already.

    Raises:
        DataError: if a value has no meaning, or no mask shows any class.
        ConfigError: if a class is asked for that no mask shows.
    """
    sources = tuple(sources)
    masks = [source.mask for source in sources if isinstance(source.mask, Path)]
    survey = survey or survey_values(masks, legend.coloured)
    check_values(survey, legend)
    present = [name for value, name in sorted(legend.names.items()) if value in survey.pixels]
    classes = choose_classes(request.classes, present)
    values: dict[str, list[int | str]] = {name: [] for name in classes}
    for value, name in sorted(legend.names.items()):
        if name in classes or value:
            values.setdefault(name if name in classes else BACKGROUND, []).append(legend.write(value))
    absent = sorted({name for name in legend.names.values() if name not in {*present, BACKGROUND}})
    more = [f"classes without any pixel were left out: {shorten(absent)}"] if absent else []
    ignored = tuple(legend.write(value) for value in sorted(legend.ignored))
    return Found(
        sources=sources,
        title=f"Images from the folder {request.folder.resolve().name}",
        classes=classes,
        mask_values={name: tuple(listed) for name, listed in values.items()},  # type: ignore[misc]
        mask_ignore=ignored,  # type: ignore[arg-type]
        licence="not stated",
        citation="not stated",
        origin=f"imported from {form}",
        notes=(*notes, *more),
    )


def check_values(survey: ValueSurvey, legend: ValueLegend) -> None:
    """Check that every value has a meaning.

    Raises:
        DataError: naming those that have none, with their pixels and a file.
    """
    unknown = sorted(set(survey.pixels) - set(legend.names) - legend.ignored - {0})
    if unknown:
        shown = ", ".join(
            f"{legend.write(value)} ({survey.pixels[value]:,} px in {survey.files[value]} masks)"
            for value in unknown[:_EXAMPLES]
        )
        more = ", …" if len(unknown) > _EXAMPLES else ""
        raise DataError(
            f"{survey.example[unknown[0]]}: masks have the {'colour' if legend.coloured else 'value'}"
            f"{'s' if len(unknown) > 1 else ''} {shown}{more}, which {legend.source} does not name; add the names "
            "there, or correct the masks"
        )


def shorten(names: Sequence[str]) -> str:
    """Return a few names, and a mark if there are more."""
    return ", ".join(names[:_EXAMPLES]) + (f", … ({len(names)} in all)" if len(names) > _EXAMPLES else "")


def _values_of(path: Path) -> dict[int, int] | str:
    try:
        return _count(to_indices(load_picture(path), path))
    except DataError as error:
        return str(error)


def _colours_of(path: Path) -> dict[int, int] | str:
    try:
        return _count(to_colours(load_picture(path)))
    except DataError as error:
        return str(error)


def _count(values: np.ndarray) -> dict[int, int]:
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=1)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, counts = np.unique(values, return_counts=True)
    return {int(value): int(count) for value, count in zip(found, counts, strict=True)}
