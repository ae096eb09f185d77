"""The paths of the stages' inputs and outputs."""

import re
from dataclasses import dataclass
from pathlib import Path

from naslora_core.errors import ConfigError, PipelineError

_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class StagePaths:
    """The folders of the pipeline, or of one trial beside it.

    Args:
        root: the project's folder, where params.yaml lies.
        run: name of a trial, whose outputs go to runs/<run> and never touch the pipeline's own;
            None is the pipeline itself.

    Raises:
        ConfigError: if `run` could not be the name of one folder.
    """

    root: Path
    run: str | None = None

    def __post_init__(self) -> None:
        if self.run is not None and not _RUN_NAME.fullmatch(self.run):
            raise ConfigError(f"'{self.run}' cannot name a run; use letters, digits, dots, dashes, underscores")

    @property
    def params(self) -> Path:
        """The file with every setting."""
        return self.root / "params.yaml"

    def data(self, domain: str) -> Path:
        """Return the folder of a domain's images and masks."""
        return self.root / "data" / domain

    def domains(self) -> list[str]:
        """Return the names of all domains there is data for, sorted."""
        return sorted(card.parent.name for card in (self.root / "data").glob("[!.]*/dataset.yaml"))

    def measured(self, domain: str) -> Path:
        """Return the cache of measurements, by which unchanged files are not opened again."""
        return self.root / ".naslora" / "measurements" / f"{domain}.parquet"

    def digests(self, domain: str) -> Path:
        """Return the digests of a domain's files, by which those that nobody wrote to are not read again."""
        return self.root / ".naslora" / "digests" / f"{domain}.json"

    def earlier_arrays(self, domain: str) -> Path | None:
        """Return the folder that keeps the last arrays, whose unchanged rows are used again; None for a trial.

        DVC deletes the output before the stage runs. That of a trial is there until the next one replaces it.
        """
        return self.root / ".naslora" / "preprocess" / domain if self.run is None else None

    def served_measurements(self, domain: str) -> Path:
        """Return the measurements of the data that the model in service was trained on."""
        return self.root / "serving" / domain / "measurements.parquet"

    def output(self, stage: str, domain: str | None = None) -> Path:
        """Return the folder that `stage` writes; None is for stages that cover all domains."""
        top = self.root / "artifacts" if self.run is None else self.root / "runs" / self.run
        return top / stage if domain is None else top / stage / domain

    def timing(self, stage: str, domain: str) -> Path:
        """Return the file for how long a stage, and what it made, takes: no result, and nothing depends on it."""
        return self.output("timing", domain) / f"{stage}.json"

    def timing_of_source(self, stage: str, domain: str) -> Path:
        """Return that file of the run that `source` finds; it may be missing.

        Raises:
            PipelineError: as `source`.
        """
        return self.source(stage, domain).parents[1] / "timing" / domain / f"{stage}.json"

    def warm_start(self, domain: str) -> Path:
        """Return the folder of the adapter that a warm start begins from; it may be missing."""
        return self.root / ".naslora" / "warm" / domain

    def decision(self, domain: str) -> Path:
        """Return the file with the decision on a domain's last model, for the report."""
        return self.root / ".naslora" / "decisions" / f"{domain}.json"

    def source(self, stage: str, domain: str | None = None) -> Path:
        """Return the folder that `stage` has written: the trial's if it is there, else the pipeline's.

        Raises:
            PipelineError: if the stage has not run yet.
        """
        own = self.output(stage, domain)
        if own.is_dir():
            return own
        shared = StagePaths(self.root).output(stage, domain)
        if not shared.is_dir():
            wanted = "" if domain is None else f" for domain '{domain}'"
            only = "" if domain is None else f" --domain {domain}"
            raise PipelineError(f"{shared} not found: stage '{stage}' has not run{wanted}; start naslora run{only}")
        return shared
