"""Survey the stored values of all masks of a data set, in one pass over their files."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from naslora_core.data.dataset.duplicates import use_one_thread
from naslora_core.data.dataset.mask_facts import Form, MaskFacts, measure_mask
from naslora_core.parallel import parallel_map, worker_count
from naslora_core.progress import Progress, silent

# Starting a process and its imports takes as long as reading about as many masks here.
_WORTH_A_PROCESS = 1700
EXAMPLES = 3


@dataclass
class Tally:
    """Where a value occurs: pixels, images, and the first few files; palette colours 0xRRGGBB that it has."""

    pixels: int = 0
    images: int = 0
    examples: list[Path] = field(default_factory=list)
    colours: set[int] = field(default_factory=set)
    last: Path | None = None


@dataclass
class Survey:
    """The facts of all files, added up.

    Attributes:
        readable: the facts of the files that can be read.
        problems: what is wrong with the others.
        refused: of these, what only the import can notice.
        forms: files of each form that hold more than zeros.
        tallies: by form and value.
    """

    readable: list[MaskFacts] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    forms: dict[Form, list[Path]] = field(default_factory=dict)
    tallies: dict[Form, dict[int, Tally]] = field(default_factory=dict)

    def add(self, facts: MaskFacts) -> None:
        """Add the facts of a file."""
        if facts.problem:
            self.problems.append(facts.problem)
            self.refused += [facts.problem] if facts.is_refused else []
            return
        self.readable.append(facts)
        if facts.values != (0,):
            self.forms.setdefault(facts.form, []).append(facts.path)
        of_form = self.tallies.setdefault(facts.form, {})
        for value, pixels in zip(facts.values, facts.pixels, strict=True):
            tally = of_form.get(value) or of_form.setdefault(value, Tally())
            tally.pixels += pixels
            tally.images += 1
            if len(tally.examples) < EXAMPLES:
                tally.examples.append(facts.path)
        for value, colour in facts.palette:
            of_form[value].colours.add(colour)

    def as_colours(self) -> dict[int, Tally]:
        """Return the tallies of all forms by the colour 0xRRGGBB that a viewer shows."""
        found: dict[int, Tally] = {}
        for facts in self.readable:
            colour_of = dict(facts.palette)
            for value, pixels in zip(facts.values, facts.pixels, strict=True):
                grey = min(value, 255) * 0x010101
                colour = value if facts.form == "colours" else colour_of.get(value, grey)
                _count(found.setdefault(colour, Tally()), facts.path, pixels)
        return found

    def without(self, paths: Collection[Path]) -> "Survey":
        """Return the survey of the other files; what is wrong with those that cannot be read stays."""
        left = Survey(problems=self.problems, refused=self.refused)
        for facts in self.readable:
            if facts.path not in paths:
                left.add(facts)
        return left

    @property
    def total_px(self) -> int:
        """Pixels of all readable files."""
        return sum(facts.total_px for facts in self.readable)


def _count(tally: Tally, path: Path, pixels: int) -> None:
    # Two palette indices of one colour are one value of one image.
    if tally.last != path:
        tally.images += 1
        if len(tally.examples) < EXAMPLES:
            tally.examples.append(path)
    tally.pixels, tally.last = tally.pixels + pixels, path


def survey_masks(paths: Sequence[Path], progress: Progress = silent, workers: int | None = None) -> Survey:
    """Read every mask once, and add up what they store.

    Args:
        paths: the files; one that is named twice counts once.
        progress: called after each.
        workers: processes; None is as many as pay off. The result does not depend on it.
    """
    files = list(dict.fromkeys(paths))
    survey = Survey()
    count = workers or worker_count(files, _WORTH_A_PROCESS)
    with parallel_map(measure_mask, count, "reads masks", use_one_thread) as measure:
        found: Iterable[MaskFacts] = measure(files)
        for done, facts in enumerate(found, start=1):
            survey.add(facts)
            progress(done, len(files), "read masks")
    return survey
