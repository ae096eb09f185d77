"""What choices at test time gain and cost, as rows of a table and sentences."""

from collections.abc import Mapping
from typing import Any

from naslora_core.report.sentences import signed

# That of a model for which none was chosen.
DEFAULT_THRESHOLD = 0.5
_TITLES = {
    ("flips", "none"): "no flips",
    ("flips", "horizontal"): "mean with the horizontal flip",
    ("flips", "all"): "mean with all three flips",
}


def options_context(
    test_time: Mapping[str, Any], seconds: Mapping[str, float], threshold: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what the page shows of choices at test time.

    Args:
        test_time: test_time.json of stage evaluate.
        seconds: of CPU for an image, by "setting value"; may be empty.
        threshold: of the certificate; None for several classes, and in certificates of earlier versions.

    Returns:
        "sentences", and "rows": of each option title, in_use, dice, gain, and cost, relative to what is in use; None
        where that is not known.
    """
    options = test_time["options"]
    in_use = {one["setting"]: seconds.get(f"{one['setting']} {one['value']}") for one in options if one["in_use"]}
    return {"sentences": _sentences(test_time, threshold), "rows": [_row(one, seconds, in_use) for one in options]}


def _row(option: Mapping[str, Any], seconds: Mapping[str, float], in_use: Mapping[str, float | None]) -> dict[str, Any]:
    setting, value = option["setting"], option["value"]
    taken, usual = seconds.get(f"{setting} {value}"), in_use.get(setting)
    # A threshold takes no time.
    cost = 1.0 if setting == "threshold" else taken / usual if taken and usual else None
    return {**option, "title": _TITLES.get((setting, value), f"{setting} {value}"), "cost": cost}


def _sentences(test_time: Mapping[str, Any], threshold: Mapping[str, Any] | None) -> list[str]:
    count, middle = test_time["images"], test_time["middle_px"]
    seen = f" (of larger ones the middle {middle} pixels)" if middle else ""
    said = [
        f"The merged model on {count} validation image{'' if count == 1 else 's'}{seen}, with one choice changed at a "
        "time; gains with paired intervals. The settings are evaluate.flips, evaluate.overlap and evaluate.threshold."
    ]
    if threshold and threshold["chosen"] == DEFAULT_THRESHOLD:
        said.append("Stage merge found no threshold that can be told from 0.5 on the validation images.")
    elif threshold:
        said.append(
            f"Stage merge chose the threshold {threshold['chosen']:g} on all validation images, so that its gain here "
            f"is too good: measured on images that had no part in the choice, one at a time, it is "
            f"{signed(threshold['gain_held_out'])}."
        )
    return said
