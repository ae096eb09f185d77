"""Settle how imported images become grey levels where their files do not say: declared, asked for, or measured."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.card import CARD_FILE, read_card
from naslora_core.data.dataset.image_files.facts import BITS_OF_PLAIN, ImageFacts, read_facts
from naslora_core.data.dataset.image_files.images import read_bands
from naslora_core.data.dataset.image_files.proposal import MOST_VALUES, PERCENTILES, propose, sample_values
from naslora_core.data.dataset.image_files.reading import WHITE, ImageReading, ValueRange
from naslora_core.data.importers.base import Found, ImportRequest, Source
from naslora_core.errors import ConfigError, DataError, few
from naslora_core.progress import Progress, silent

AUTO = "auto"
# Values are measured in so many images at most, evenly spread over the names; the headers of all are read.
MOST_MEASURED = 200
_SHOWN = 5
Kinds = Mapping[ImageFacts, list[Path]]


def with_image_reading(found: Found, request: ImportRequest, target: Path, progress: Progress = silent) -> Found:
    """Return what was found, its images read as `settle_image_reading` says, unless that is settled already."""
    if found.image_is_settled:
        return found
    reading = settle_image_reading(found.sources, request, target, progress)
    return replace(found, image=reading, image_is_settled=True)


def settle_image_reading(
    sources: Sequence[Source], request: ImportRequest, target: Path, progress: Progress = silent
) -> ImageReading | None:
    """Return how the images are to be read; None for plain images of 8 bits.

    What the request says comes first, then what the dataset in `target` declares, or the one that is imported.

    Args:
        sources: all pairs; images that are made by a function are plain.
        request: its fields `bands` and `value_range`.
        target: the dataset that is there already, if there is one.
        progress: called after each image whose values are measured.

    Raises:
        DataError: if images need a reading and none is given, with the one to take; or if one cannot suit them all.
        ConfigError: if the request names other than one or three bands, or no range.
    """
    named = parse_range(request.value_range) if request.value_range not in (None, AUTO) else None
    if len(request.bands) not in (0, 1, 3) or min(request.bands, default=1) < 1:
        raise ConfigError("--bands names bands from 1 on: one, shown in grey, or three, as red, green and blue: 4,3,2")
    kinds = _kinds([source.image for source in sources if isinstance(source.image, Path)])
    odd = {kind: paths for kind, paths in kinds.items() if not kind.is_plain}
    bytes_only = {kind: paths for kind, paths in kinds.items() if kind.bits <= BITS_OF_PLAIN}
    if bytes_only and named is not None and named.high is not None and named.high > WHITE:
        raise DataError(
            f"--range {request.value_range}: {_listed(bytes_only)}, whose values end at {WHITE}; leave --range out, or "
            "give the images as they were before they were converted to 8 bits"
        )
    if request.value_range is None and not request.bands and (declared := _declared(request, target, bool(odd))):
        return declared
    if not kinds or not (odd or request.value_range or request.bands):
        return None
    is_per_image = named is not None and named.percentiles is not None
    if not is_per_image and len({(max(kind.bits, BITS_OF_PLAIN), kind.kind) for kind in kinds}) > 1:
        raise DataError(
            f"{_listed(kinds)}; one range does not suit them all: convert the fewer ones, leave them out, or read "
            f"each by its own values with {_per_image()}"
        )
    fewest = min(kinds, key=lambda kind: kind.shown_bands)
    bands = request.bands or ((1, 2, 3) if fewest.shown_bands >= 3 else (1,))
    if max(bands) > min(kind.bands for kind in kinds):
        raise DataError(f"{_listed(kinds)}; there is no band {max(bands)} in all of them: name others with --bands")
    is_sure_of_bands = bool(request.bands) or all(_says_its_bands(kind, bands) for kind in kinds)
    if named is not None:
        reading, measured = ImageReading(bands=bands, range=named), ""
    else:
        reading, measured = _measured(odd or kinds, bands, progress)
    if is_sure_of_bands and (request.value_range is not None or not measured):
        return reading
    ask_for_bands = "" if is_sure_of_bands else (
        f" Of the {max(kind.shown_bands for kind in kinds)} bands name one, shown in grey, or three, to be red, green "
        "and blue, such as --bands 3,2,1."
    )  # fmt: skip
    ask_for_range = "" if not measured or request.value_range else (
        f" To take it, import with --range {AUTO}; others are --range LOW:HIGH and, where exposure differs from image "
        f"to image, {_per_image()}."
    )  # fmt: skip
    raise DataError(
        f"{_listed(odd or kinds)}, and nothing says how they become grey levels or colours of 8 bits; nothing was "
        f"imported. Proposed for dataset.yaml{measured}:\n  {reading}\n{(ask_for_range + ask_for_bands).strip()}"
    )


def parse_range(given: str | None) -> ValueRange:
    """Return the range that `--range` asks for: two stored values as "12:3987", or percentiles as "0.1%:99.9%".

    Raises:
        ConfigError: if it is neither.
    """
    low, _, high = (given or "").partition(":")
    try:
        if low.endswith("%") and high.endswith("%"):
            return ValueRange(percentiles=(float(low[:-1]), float(high[:-1])))
        return ValueRange(low=_number(low), high=_number(high))
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"--range is '{(given or '')[:40]}'; give {AUTO}, two stored values, the smaller first, as 12:3987, or two "
            "percentiles of each image as 0.1%:99.9%"
        ) from error


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


def _per_image() -> str:
    return f"--range {PERCENTILES[0]:g}%:{PERCENTILES[1]:g}%"


def _declared(request: ImportRequest, target: Path, is_odd: bool) -> ImageReading | None:
    """Return what a card declares, unless all images are plain and could not reach what it calls white."""
    cards = [read_card(target)] if (target / CARD_FILE).is_file() else []
    if (request.folder / CARD_FILE).is_file():
        # Other tools have files of this name, with other content.
        with suppress(DataError):
            cards.append(read_card(request.folder))
    reading = next((card.image for card in cards if card.image is not None), None)
    if reading is None or is_odd or reading.range.high is None or reading.range.high <= WHITE:
        return reading
    return None


def _kinds(files: Sequence[Path]) -> Kinds:
    """Return the files by what their headers say of depth and bands; what cannot be read is for the gate to name."""
    kinds: dict[ImageFacts, list[Path]] = {}
    for path in files:
        try:
            kinds.setdefault(read_facts(path).kind_alone(), []).append(path)
        except DataError:
            continue
    return kinds


def _says_its_bands(kind: ImageFacts, bands: tuple[int, ...]) -> bool:
    return len(bands) == 3 if kind.names_colours else kind.shown_bands == len(bands)


def _measured(kinds: Kinds, bands: tuple[int, ...], progress: Progress) -> tuple[ImageReading, str]:
    """Return the proposed reading, and from how many images; "" if bytes made measuring needless."""
    facts, paths = next(iter(kinds)), [path for found in kinds.values() for path in found]
    if facts.bits <= BITS_OF_PLAIN and facts.kind == "u":
        return propose(np.empty(0), facts, bands), ""
    chosen = sorted(paths)[:: -(-len(paths) // MOST_MEASURED)]
    values, problems = [], []
    for done, path in enumerate(chosen, start=1):
        try:
            values.append(sample_values(read_bands(path, read_facts(path)), bands, max(1, MOST_VALUES // len(chosen))))
        except DataError as error:
            problems.append(error)
        progress(done, len(chosen), "measure values")
    if not values:
        raise problems[0]
    low, high = PERCENTILES
    share = f"{len(values)} of {len(paths)}" if len(values) < len(paths) else str(len(paths))
    text = f", from percentiles {low:g} and {high:g} of the values in {share} image{'' if len(paths) == 1 else 's'}"
    return propose(np.concatenate(values), facts, bands), text


def _listed(kinds: Kinds) -> str:
    parts = []
    for kind, paths in list(kinds.items())[:_SHOWN]:
        names = few((path.name for path in paths), _SHOWN)
        parts.append(f"{len(paths)} image{'' if len(paths) == 1 else 's'} with {kind} ({names})")
    return (
        f"{next(iter(kinds.values()))[0].parent} holds " + " and ".join(parts) + (", …" if len(kinds) > _SHOWN else "")
    )
