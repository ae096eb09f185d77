"""Say what masks hold when a card, or a published layout, has said already how to read them."""

from collections.abc import Mapping

from naslora_core.data.dataset.card import BACKGROUND, DatasetCard, MaskReading, MaskValues
from naslora_core.data.importers.legends.legend import NOT_LABELLED
from naslora_core.data.importers.reading.survey import Survey
from naslora_core.data.importers.reading.tallies import levels_of, one_channel
from naslora_core.data.importers.reading.understood import (
    Understood,
    by_values,
    cut,
    list_values,
    number_of,
    numbered,
    transparent,
)
from naslora_core.errors import DataError


def as_stated(
    survey: Survey, classes: tuple[str, ...], reading: MaskReading, threshold: int | None,
    values: Mapping[str, MaskValues] | None, ignored: MaskValues, kind: str,
) -> Understood:  # fmt: skip
    """Return the table of masks by a reading that is known; fields as in `DatasetCard`, `kind` in words.

    Values that no class has are background, as `decode_mask` has it; the gate reports them.
    """
    if reading == "grey":
        return cut(survey, threshold or 1, ignored, classes[0], kind, levels_of(survey))
    if reading == "alpha":
        return transparent(survey, classes[0], kind)
    if reading == "instances":
        return numbered(survey, ignored, classes[0], one_channel(survey), kind)
    coloured = reading == "colours"
    names = {number_of(value): name for name, listed in (values or {}).items() for value in listed}
    names |= {number_of(value): NOT_LABELLED for value in ignored}
    tallies = survey.as_colours() if coloured else one_channel(survey)
    return by_values(survey, names, tallies, coloured, kind, keep=(*classes, BACKGROUND, NOT_LABELLED))


def as_card_says(survey: Survey, card: DatasetCard) -> Understood:
    """Return the reading that the dataset.yaml beside masks states.

    Raises:
        DataError: if the masks have values that it does not know.
    """
    understood = as_stated(
        survey, card.classes, card.reading, card.mask_threshold, card.mask_values, card.mask_ignore or (),
        "as its dataset.yaml says",
    )  # fmt: skip
    if card.mask_values is not None:
        coloured = card.reading == "colours"
        known = {number_of(v) for listed in (*card.mask_values.values(), card.mask_ignore or ()) for v in listed}
        tallies = survey.as_colours() if coloured else one_channel(survey)
        if unknown := {value: tally for value, tally in tallies.items() if value and value not in known}:
            raise DataError(
                "the dataset.yaml beside the masks does not know some of their values; add them to its mask_values or "
                f"mask_ignore. Of these, {list_values(unknown, survey, coloured)}"
            )
    return understood
