"""Pictures of test images, chosen by a rule: the worst, the median and the best of the merged model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from naslora_core.data.dataset import Pair
from naslora_core.evaluation.evaluate import Evaluation, read_pair
from naslora_core.evaluation.overlays import PREDICTION_COLOUR, TRUTH_COLOUR, join_panels, panel
from naslora_core.evaluation.summary import DECIMALS
from naslora_core.files import write_json

CASES = ("worst", "median", "best")
PANELS = ("image", "truth", "base", "merged")


def choose_cases(scores: pd.Series, size: int) -> list[tuple[str, str]]:
    """Choose the images to show.

    Args:
        scores: one per image, higher is better, indexed by image name.
        size: how many; shared evenly by worst, median and best, what remains goes to them in this order.

    Returns:
        Case and image name, worst first; every image at most once, all if there are no more than `size`.
    """
    # Ties are broken by name, so that the choice does not depend on the order of files.
    ranked = [name for _, name in sorted(zip(scores, scores.index.astype(str), strict=True))]
    size = min(size, len(ranked))
    worst, median, best = ((size + 2 - position) // 3 for position in range(3))
    middle = ranked[worst : len(ranked) - best]
    start = (len(middle) - median) // 2
    chosen = [ranked[:worst], middle[start : start + median], ranked[len(ranked) - best :]]
    return [(case, name) for case, names in zip(CASES, chosen, strict=True) for name in names]


def write_gallery(
    folder: Path, pairs: Sequence[Pair], mask_threshold: int, evaluations: Mapping[str, Evaluation], size: int
) -> None:
    """Write strips (image, truth, base, merged) as PNG and `gallery.json`, which says what they show.

    Args:
        folder: gets `gallery.json` and `gallery/*.png`.
        pairs: the evaluated images.
        mask_threshold: grey level from which a pixel of a mask file is foreground.
        evaluations: by model name, with "base" and "merged" among them.
        size: how many images to show.
    """
    by_name = {pair.name: pair for pair in pairs}
    dice = {model: one.table.set_index("name")["dice"] for model, one in evaluations.items()}
    entries: list[dict[str, Any]] = []
    (folder / "gallery").mkdir(parents=True, exist_ok=True)
    for position, (case, name) in enumerate(choose_cases(dice["merged"], size), start=1):
        image, truth = read_pair(by_name[name], mask_threshold)
        shape = (truth.shape[0], truth.shape[1])
        predicted = {model: evaluations[model].mask(name, shape) for model in ("base", "merged")}
        file = f"gallery/{position:02d}_{case}.png"
        _strip(image, truth, predicted).save(folder / file, optimize=True)
        entries.append(
            {
                "file": file,
                "name": name,
                "case": case,
                "panels": list(PANELS),
                "size": list(shape),
                "truth_share": round(float(truth.mean()), DECIMALS),
                "predicted_share": {key: round(float(mask.mean()), DECIMALS) for key, mask in predicted.items()},
                "dice": {model: round(float(scores[name]), DECIMALS) for model, scores in dice.items()},
            }
        )
    write_json(folder / "gallery.json", entries)


def _strip(image: np.ndarray, truth: np.ndarray, predicted: Mapping[str, np.ndarray]) -> Image.Image:
    outline = (truth, TRUTH_COLOUR)
    panels = [panel(image), panel(image, [outline])]
    panels += [panel(image, [outline, (predicted[model], PREDICTION_COLOUR)]) for model in ("base", "merged")]
    return join_panels(panels)
