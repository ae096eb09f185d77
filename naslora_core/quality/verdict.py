"""The gate's verdict: whether the data passed, and which files fail why, as text, Markdown and JSON."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class FileProblem(BaseModel):
    """A file, relative to the dataset's folder, and what is wrong with it."""

    model_config = ConfigDict(frozen=True)

    file: str
    problem: str


class Failure(BaseModel):
    """An expectation that does not hold.

    `files` is empty where it is about the dataset as a whole; `of_pairs` says whether they belong to pairs.
    """

    model_config = ConfigDict(frozen=True)

    expectation: str
    description: str
    severity: Literal["critical", "warning"]
    count: int
    files: tuple[FileProblem, ...]
    observed: str = ""
    of_pairs: bool = True

    def extent(self, pairs: int) -> str:
        """Return in words how many of a dataset's pairs fail."""
        if self.of_pairs:
            return f"{self.count} of {pairs} pairs"
        return f"{self.count} file{'' if self.count == 1 else 's'}"


class Verdict(BaseModel):
    """The result of the gate. It holds no time stamp, so that the same data gives the same bytes."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    dataset: str
    passed: bool
    pairs: int
    pairs_per_split: dict[str, int]
    expectations_expected: int
    expectations_run: int
    failures: tuple[Failure, ...]
    dataset_sha256: str = ""
    compared_with: str = ""

    def of_severity(self, severity: str) -> tuple[Failure, ...]:
        """Return the failures that are "critical", or those that are a "warning"."""
        return tuple(failure for failure in self.failures if failure.severity == severity)

    def shortened(self, limit: int = 50) -> "Verdict":
        """Return the verdict with the first `limit` files of each failure; their counts stay."""
        cut = (failure.model_copy(update={"files": failure.files[:limit]}) for failure in self.failures)
        return self.model_copy(update={"failures": tuple(cut)})

    def summary(self) -> str:
        """Return the verdict in one line."""
        splits = ", ".join(f"{count} {split}" for split, count in self.pairs_per_split.items())
        critical, warnings = (len(self.of_severity(severity)) for severity in ("critical", "warning"))
        found = f"{critical} critical, " if critical else ""
        found += f"{warnings} warning{'' if warnings == 1 else 's'}"
        word = "passed" if self.passed else "REJECTED"
        checked = f"{self.expectations_run} of {self.expectations_expected} expectations checked"
        return f"{self.dataset} {word}: {self.pairs} pairs ({splits}), {checked}, {found}"

    def message(self, rest: str = "", limit: int = 10) -> str:
        """Return the verdict with the files that failed, and what is wrong with each.

        Args:
            rest: where all files are listed, shown if some are left out here.
            limit: how many files each critical failure names, and warnings no more than 3; 0 names all.
        """
        lines = [self.summary()]
        for failure in self.of_severity("critical"):
            lines += _describe(failure, limit or failure.count, rest, self.pairs)
        for failure in self.of_severity("warning"):
            lines += _describe(failure, min(limit, 3) or failure.count, rest, self.pairs)
        if not self.passed:
            lines.append("Correct or remove these files and run again; nothing was trained on them.")
        return "\n".join(lines)

    def markdown(self) -> str:
        """Return the verdict as a document, with the first 50 files of each failure."""
        lines = [f"# Data check: {self.dataset}", "", self.summary(), ""]
        for failure in self.failures:
            lines += [f"## {failure.severity}: {failure.description}", ""]
            lines += [failure.observed, ""] if failure.observed else []
            if failure.files:
                lines += [
                    f"{failure.extent(self.pairs)}.",
                    "",
                    "| file | problem |",
                    "| --- | --- |",
                ]
                lines += [f"| `{entry.file}` | {entry.problem} |" for entry in failure.files[:50]]
                lines += ["", "All files are in offending.csv.", ""] if failure.count > 50 else [""]
        if not self.failures:
            lines += ["Every expectation holds.", ""]
        lines += [self.compared_with, ""] if self.compared_with else []
        return "\n".join(lines).rstrip() + "\n"


def _describe(failure: Failure, limit: int, rest: str, pairs: int) -> list[str]:
    label = "error" if failure.severity == "critical" else "warning"
    count = f"; {failure.extent(pairs)} do not comply" if failure.files else ""
    lines = [f"  {label}: expected that {failure.description}{count}"]
    if failure.observed:
        lines.append(f"      {failure.observed}")
    shown = failure.files[:limit]
    lines += [f"      {entry.file}: {entry.problem}" for entry in shown]
    if len(shown) < failure.count and failure.files:
        where = f"; all are in {rest}" if rest else ""
        lines.append(f"      … and {failure.count - len(shown)} more{where}")
    return lines
