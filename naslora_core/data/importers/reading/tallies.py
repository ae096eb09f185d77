"""Add up the tallies of a survey as a reading needs them: by stored value, or by level."""

from collections.abc import Mapping

from naslora_core.data.importers.reading.survey import Survey, Tally


def one_channel(survey: Survey) -> Mapping[int, Tally]:
    """Return the tallies by stored value, of masks of one channel."""
    forms = [form for form in survey.tallies if form in survey.forms]
    if len(forms) <= 1:
        return survey.tallies[forms[0] if forms else next(iter(survey.tallies))]
    found: dict[int, Tally] = {}
    for form in forms:
        for value, tally in survey.tallies[form].items():
            known = found.setdefault(value, Tally())
            known.pixels, known.images = known.pixels + tally.pixels, known.images + tally.images
            known.examples += tally.examples
    return found


def levels_of(survey: Survey) -> dict[int, Tally]:
    """Return the tallies by level: of one channel as stored, of colours and palettes the brightest channel."""
    if list(survey.forms) in ([], ["grey"]):
        return dict(survey.tallies.get("grey", {}) or {0: Tally()})
    found: dict[int, Tally] = {}
    for colour, tally in sorted(survey.as_colours().items()):
        level = found.setdefault(max(colour >> 16, colour >> 8 & 0xFF, colour & 0xFF), Tally())
        # Colours of one level may be of the same images, so that it is in at least so many.
        level.pixels, level.images = level.pixels + tally.pixels, max(level.images, tally.images)
    return found
