"""Tell the kinds of masks apart by what a survey has measured."""

from collections.abc import Collection, Mapping
from typing import Any

from naslora_core.data.dataset.mask_facts import END, IGNORED
from naslora_core.data.importers.reading.survey import Survey, Tally

# A soft edge has more values than these; a list of classes may have as few.
_FEW = 4
# Of the pixels between the ends of the scale, soft edges leave hardly any of one value with its neighbours.
_FLAT_SHARE = 0.25
# Pixels between the ends for each at the bright end: small blurred objects have more of them than photographs.
_WIDEST_EDGES = 3
# Values so near to an end are what JPEG and rescaling make of the end.
_NEAR = 8
# No list of classes is so long and has all its classes in every image.
_MANY_OBJECTS = 20
# Values in flat regions have runs of some pixels; those of pictures change almost everywhere.
_SHORTEST_RUN = 2.0
# Of the neighbours of objects, so few are background where a ring of 255 lies between.
_RING_SHARE = 0.1
_MAIN_SHARE, _STRONG = 0.98, 128


def is_soft(survey: Survey, levels: Collection[int] | Mapping[int, Tally]) -> bool:
    """Return whether levels gather at both ends of 0..255, as JPEG and antialiasing leave them.

    Regions of one value between the ends are no edges: they mean a class, or a share of votes.
    """
    highest = max(levels)
    if highest > IGNORED or highest < IGNORED - END or min(levels) > END:
        return False
    pixels: dict[int, int] = {}
    for facts in survey.readable:
        for value, count in zip(facts.values, facts.pixels, strict=True):
            pixels[value] = pixels.get(value, 0) + count
    middle = [value for value in levels if value not in (0, highest)]
    # 1 and 255 alone may be an object in a border that nobody labelled, 254 and 255 are hardly two classes.
    near = all(value <= _NEAR or value >= IGNORED - _NEAR for value in levels)
    if near and any(value > _STRONG for value in middle):
        return True
    if len(middle) < _FEW or max(middle) < 2 * END:
        return False
    between, flat = (sum(getattr(facts, name) for facts in survey.readable) for name in ("between_px", "flat_px"))
    strong = sum(count for value, count in pixels.items() if value >= IGNORED + 1 - END)
    return between <= _WIDEST_EDGES * strong and flat <= _FLAT_SHARE * between


def has_ring(survey: Survey) -> bool:
    """Return whether 255 lies between objects and background, as a border that nobody labelled."""
    to_background = sum(facts.ring[0] for facts in survey.readable)
    to_ignored = sum(facts.ring[1] for facts in survey.readable)
    return to_ignored > 0 and to_background <= _RING_SHARE * to_ignored


def are_numbers_of_objects(survey: Survey, ignored: Collection[Any]) -> bool:
    """Return whether numbers can only be those of objects: they count them, or are too many for classes."""
    found = [{v for v in facts.values if v and v not in ignored} for facts in survey.readable]
    found = [numbers for numbers in found if numbers]
    everywhere = set().union(*found)
    if any(facts.is_lossy for facts in survey.readable) or len(everywhere) < _MANY_OBJECTS:
        return False
    inside = sum(
        count for facts in survey.readable for value, count in zip(facts.values, facts.pixels, strict=True) if value
    )
    if inside < _SHORTEST_RUN * sum(facts.runs for facts in survey.readable):
        return False
    counted = all(max(numbers) == len(numbers) for numbers in found)
    return counted or len(everywhere) >= IGNORED


def main_colour(colours: Mapping[int, Tally]) -> str:
    """Return the hue, "#rrggbb", that nearly all bright pixels of lossy masks share; "" if there is none."""
    hues: dict[int, int] = {}
    total = dull = 0
    for colour, tally in colours.items():
        channels = colour >> 16, colour >> 8 & 0xFF, colour & 0xFF
        total += tally.pixels
        if max(channels) < _STRONG:
            dull += tally.pixels * (max(channels) > END)
            continue
        hue = sum(int(level >= _STRONG) * 0xFF << shift for level, shift in zip(channels, (16, 8, 0), strict=True))
        hues[hue] = hues.get(hue, 0) + tally.pixels
    if not hues or dull > sum(hues.values()):
        return ""
    hue, pixels = max(hues.items(), key=lambda entry: entry[1])
    return f"#{hue:06x}" if pixels >= _MAIN_SHARE * sum(hues.values()) and total > sum(hues.values()) else ""


def shows_the_same_as_alpha(survey: Survey) -> bool:
    """Return whether objects are opaque and all else is clear, so that colours say all."""
    return all(facts.alpha is None or facts.alpha.differing_px == 0 for facts in survey.readable)
