"""Find drift: statistics of the data that differ from those of the data the model in service was trained on."""

from math import comb
from pathlib import Path

import numpy as np
import pandas as pd

from naslora_core.config import QualityConfig
from naslora_core.quality.table import read_table
from naslora_core.quality.verdict import Failure

STATISTICS = ("brightness", "contrast", "sharpness", "saturation", "foreground_share")


def find_drift(table: pd.DataFrame, reference: Path | None, quality: QualityConfig) -> tuple[list[Failure], str]:
    """Compare the distributions of `STATISTICS` with those of an earlier version of the data.

    A statistic has drifted if the two-sample Kolmogorov-Smirnov test rejects that both are alike (Bonferroni's
    correction divides `drift_p_value` by the number of tests) and their distance is at least `drift_min_effect`.

    Args:
        table: of measurements.
        reference: the file with those of the earlier version, which may be missing; None compares nothing.
        quality: the thresholds.

    Returns:
        A warning for each statistic that has drifted; and what was compared with, or why nothing was, "" where nothing
        was to be.
    """
    if reference is None:
        return [], ""
    earlier = read_table(reference)
    if earlier is None:
        return [], "No earlier version of the data to compare with."
    if not _enough_to_compare(len(table), len(earlier), quality):
        return [], (
            f"Not compared with the {len(earlier)} pairs that the model in service was trained on: {len(table)} and "
            f"{len(earlier)} pairs are too few to tell a change at drift_p_value {quality.drift_p_value:g} (quality)."
        )
    found = [failure for name in STATISTICS if (failure := _compare(name, table, earlier, quality))]
    return found, f"Compared with the {len(earlier)} pairs that the model in service was trained on."


def _enough_to_compare(now: int, before: int, quality: QualityConfig) -> bool:
    """Return whether the test could reject for samples of these sizes if they were completely separate."""
    # Of all orders of both samples in one line, two have one sample wholly before the other. Above 30 it always can.
    least = 2 / comb(min(now, 30) + min(before, 30), min(now, 30))
    return least < quality.drift_p_value / len(STATISTICS)


def _compare(name: str, table: pd.DataFrame, earlier: pd.DataFrame, quality: QualityConfig) -> Failure | None:
    # Most data is compared with nothing, and this takes half a second to import.
    from scipy.stats import ks_2samp

    if name not in earlier:
        return None
    now, before = (part[name].dropna().to_numpy(dtype=float) for part in (table, earlier))
    if not len(now) or not len(before):
        return None
    test = ks_2samp(now, before)
    limit = quality.drift_p_value / len(STATISTICS)
    if test.pvalue >= limit or test.statistic < quality.drift_min_effect:
        return None
    medians = f"median {np.median(before):.3g} before, {np.median(now):.3g} now"
    return Failure(
        expectation=f"drift_{name}",
        description=f"the {name.replace('_', ' ')} is distributed as in the data of the model in service "
        "(quality.drift_p_value, quality.drift_min_effect)",
        severity="warning",
        count=0,
        files=(),
        observed=f"{medians}; Kolmogorov-Smirnov distance {test.statistic:.2f}, p {test.pvalue:.1e}",
    )
