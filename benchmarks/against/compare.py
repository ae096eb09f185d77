"""Two ways to do the same work, measured in turns: seconds, CPU seconds and memory of each, and their ratios."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# Does the work once.
Measure = Callable[[], "Sample"]


_FIELDS = {"wall": "wall_s", "cpu": "cpu_s", "memory": "peak_mib"}


@dataclass(frozen=True)
class Sample:
    """What one run took; `peak_mib` is 0 where memory is not measured."""

    wall_s: float
    cpu_s: float
    peak_mib: float = 0.0


@dataclass(frozen=True)
class Target:
    """What is aimed at: a ratio of ours to a rival's, or a figure of ours alone.

    Attributes:
        of: "wall", "cpu" or "memory".
        at_most: the largest ratio, or figure in seconds or MiB, that reaches it.
        other: name of the rival; "" is the first one.
        is_ratio: whether a ratio is aimed at.
    """

    of: str
    at_most: float
    other: str = ""
    is_ratio: bool = True


@dataclass(frozen=True)
class Comparison:
    """Runs of our work and of its rivals, in the order in which they were taken.

    Attributes:
        ours: one sample a round.
        others: of each rival, by name, one sample a round.
        notes: what else was seen, such as the agreement of results, one line each.
    """

    ours: list[Sample]
    others: dict[str, list[Sample]]
    notes: list[str] = field(default_factory=list)

    def ratios(self, of: str, other: str = "") -> list[float]:
        """Return the ratio of ours to a rival's in every round; empty where it was not measured.

        Args:
            of: "wall", "cpu" or "memory".
            other: name of the rival; "" is the first one.
        """
        rivals = self.others[other or next(iter(self.others))]
        pairs = zip(self.figures(of), (getattr(sample, _FIELDS[of]) for sample in rivals), strict=True)
        return [mine / theirs for mine, theirs in pairs if mine and theirs]

    def figures(self, of: str) -> list[float]:
        """Return our own seconds, CPU seconds or MiB, by round."""
        return [getattr(sample, _FIELDS[of]) for sample in self.ours]


def take_turns(ours: Measure, others: dict[str, Measure], rounds: int, warm_up: bool = True) -> Comparison:
    """Measure in rotating rounds, so that the machine's load affects all alike.

    Args:
        ours: our way.
        others: the rivals by name, at least one.
        rounds: turns of each.
        warm_up: let everybody run once before that counts.
    """
    work = {"": ours, **others}
    names = list(work)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for turn in range(-1 if warm_up else 0, rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            sample = work[name]()
            if turn >= 0:
                samples[name].append(sample)
    mine = samples.pop("")
    return Comparison(mine, samples)


def spread(values: Sequence[float]) -> str:
    """Return median, smallest and largest of some ratios, as in "0.52 [0.50, 0.55]"."""
    return f"{statistics.median(values):.3f} [{min(values):.3f}, {max(values):.3f}]"
