"""Compare the time of several pieces of work fairly on a machine that is never quite still."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Times of one piece of work.

    Attributes:
        median_ms: of its repeats.
        ratio: median over the rounds of its time over the reference's time in the same round.
        spread: the middle half of these ratios, from and to.
    """

    median_ms: float
    ratio: float
    spread: tuple[float, float]


def time_alternately(
    work: Mapping[str, Callable[[], object]], reference: str, repeats: int, warm_up: int = 3
) -> dict[str, Timing]:
    """Run all pieces of work in turn, round after round, so that what disturbs one disturbs the others too.

    Args:
        work: by name.
        reference: the name of the one that the others are compared with.
        repeats: rounds that count, at least 2.
        warm_up: rounds before that do not.
    """
    rounds: list[dict[str, float]] = []
    for _ in range(warm_up + repeats):
        rounds.append({name: _seconds(run) for name, run in work.items()})
    counted = rounds[warm_up:]
    return {name: _summarise([(row[name], row[reference]) for row in counted]) for name in work}


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _summarise(pairs: list[tuple[float, float]]) -> Timing:
    ratios = [own / other for own, other in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return Timing(statistics.median(own for own, _ in pairs) * 1000, middle, (low, high))
