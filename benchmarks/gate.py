"""Time the gate: how long it takes to judge tables of 1,000, 10,000 and 100,000 pairs.

The tables are drawn, so that nothing but the gate is measured: the search for copies, the expectations, and the
verdict with every failing file. A share of the pairs fails each check of a mask and of an image.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from naslora_core.config import QualityConfig, load_params
from naslora_core.data.dataset.card import DatasetCard, SplitRule
from naslora_core.data.dataset.duplicates import THUMBNAIL_SIDE
from naslora_core.data.dataset.mask_looks import GRID_SIDE
from naslora_core.data.dataset.splits import SPLITS
from naslora_core.quality.expectations import build_suite
from naslora_core.quality.gate import judge
from naslora_core.quality.relations import add_relations
from naslora_core.quality.split_checks import add_split_columns
from stages.paths import StagePaths

Result = TypeVar("Result")
CARD = DatasetCard(
    name="drawn", title="Drawn", classes=("object",), mask_threshold=128, licence="none", citation="none",
    source="drawn", split=SplitRule(kind="random", seed=0, train=0.8, validation=0.1, test=0.1),
)  # fmt: skip

INPUT_PX = 256


def main() -> None:
    """Judge drawn tables of growing size and print how long it took."""
    options = _arguments()
    quality = load_params(StagePaths(Path()).params).quality
    suite = build_suite(quality, CARD, INPUT_PX)
    judge(_draw(100, 0.0, quality), suite, CARD)  # Great Expectations is imported and warm.
    shown = Table("pairs", "failing rows", "copies, CPU s", "gate, CPU s", "gate, wall s", "ms/1000 pairs")
    for count in options.pairs:
        table, copies_s, _ = _timed(partial(_draw, count, options.failing, quality))
        verdict, cpu_s, wall_s = _timed(partial(judge, table, suite, CARD))
        failing = sum(failure.count for failure in verdict.failures)
        figures = (f"{copies_s:.2f}", f"{cpu_s:.2f}", f"{wall_s:.2f}", f"{1e6 * cpu_s / count:.1f}")
        shown.add_row(f"{count:,}", f"{failing:,}", *figures)
    Console(width=120).print(shown)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1000, 10_000, 100_000], help="sizes of the tables")
    parser.add_argument("--failing", type=float, default=0.05, help="share of the pairs that fail each check")
    return parser.parse_args()


def _timed(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """Return what `work` returns, and the CPU and wall seconds it took."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def _draw(count: int, failing: float, quality: QualityConfig) -> pd.DataFrame:
    """Return measurements of `count` pairs, a share of which fails each check."""
    rng = np.random.default_rng(0)

    def either(good: float | str, bad: float | str) -> np.ndarray:
        return np.where(rng.random(count) < failing, bad, good)

    names = [f"pair_{row:06d}" for row in range(count)]
    thumbnails = rng.integers(0, 256, (count, THUMBNAIL_SIDE**2), dtype=np.uint8)
    table = pd.DataFrame({
        "name": names,
        "split": rng.choice(SPLITS, count),
        "group": names,
        "image": [f"images/{name}.jpg" for name in names],
        "mask": [f"masks/{name}.png" for name in names],
        **{f"{kind}_state": either("ok", "unreadable") for kind in ("image", "mask")},
        **{f"{kind}_problem": "is cut short" for kind in ("image", "mask")},
        **{f"{kind}_sha256": names for kind in ("image", "mask")},
        **{f"{kind}_link": "" for kind in ("image", "mask")},
        **{f"{kind}_orientation": either(1, 6) for kind in ("image", "mask")},
        "image_size": "352x352",
        "mask_size": either("352x352", "351x352"),
        "shorter_side_px": 352,
        "constant": False,
        "brightness": 90.0,
        "sharpness": either(400.0, 0.5),
        "clipped_dark": either(0.1, 0.9),
        "clipped_bright": 0.0,
        "mask_is_photograph": False,
        "mask_values": 60,
        "grey_share": either(0.0, 0.02),
        "foreground_share": 0.1,
        "object_share": either(0.1, 0.99),
        "is_empty": 0.0,
        "has_object": 1.0,
        "covers_image": either(0.0, 1.0).astype(float),
        "objects_object": 3,
        "vanished_object": either(0, 1).astype(int),
        "mask_look": [row.tobytes() for row in rng.random((count, GRID_SIDE**2 + 1), dtype=np.float32)],
        "perceptual_hash": [f"{value:016x}" for value in rng.integers(0, 2**63, count)],
        "thumbnail": [row.tobytes() for row in thumbnails],
    })  # fmt: skip
    return add_split_columns(add_relations(table, quality.near_duplicate_bits, ()), CARD.classes)


if __name__ == "__main__":
    main()
