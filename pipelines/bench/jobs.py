"""Run the trainings of a bench table by the pipeline's stages, skipping those that are finished."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from naslora_core.bench.results import TrainingFolders
from naslora_core.bench.table import Table, Training, trainings_of
from naslora_core.bench.unet.network import require_monai
from naslora_core.config import Params, load_params
from naslora_core.data.dataset.clearance import CLEARANCE_FILE
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.errors import DataError, MergeError, NasLoraError, PipelineError
from naslora_core.files import write_json
from naslora_core.progress import Progress, silent
from naslora_core.reading import read_model
from naslora_core.report.sentences import duration
from naslora_core.sam.checkpoint import checkpoint_sha256, require_checkpoint
from naslora_core.sam.specs import find_spec
from pipelines.bench.rival import recipe, run_rival
from pipelines.bench.transfer import architecture_content, from_root, with_architecture_of
from stages import evaluate, merge, preprocess, search_train, validate
from stages.paths import StagePaths
from stages.runner import require_domain

DONE_FILE = "bench.json"
# Of bench.json, and of the table.json and cost.json that are made of it.
FORMAT = 1

# Of the settings, those that a training's numbers depend on; the base model counts by its content.
_DECIDES = {"seed", "model", "adapter", "search", "train", "merge", "evaluate"}
_DECIDES_NOTHING = {"model": {"checkpoint"}, "train": {"tensorboard"}, "evaluate": {"gallery_size"}}

# What a job may fail with while others go on. Torch reports by RuntimeError that memory is short, or that a matrix
# cannot be decomposed.
Failure = NasLoraError | OSError | RuntimeError


@dataclass(frozen=True, eq=False)
class Job:
    """One training of a table, with all settings and inputs that determine its result.

    Attributes:
        paths: a trial named by a hash of all that determines the result, so that other settings never reuse it,
            and tables share what they have in common.
        opponent: of a rival, the trial whose training time it gets; `params` are those of that one, too.
        rates: the learning rates that a rival tries.
        donor: of a transfer, the trial whose architecture it trains, which `search.from` names.
    """

    training: Training
    params: Params
    paths: StagePaths
    opponent: StagePaths | None = None
    rates: Sequence[float] = ()
    donor: StagePaths | None = None

    @property
    def waits(self) -> bool:
        """Whether it needs something of another training, which has to be finished."""
        return bool(self.opponent or self.donor)

    @property
    def done_file(self) -> Path:
        """The file that marks a training as finished; it is written last."""
        return self.paths.output(DONE_FILE)

    def folders(self) -> TrainingFolders:
        """Return the output folders of a finished training."""
        done = read_done(self.done_file)
        kinds = ("search_train", "evaluate", "timing")
        folders = {kind: self.paths.output(kind, self.training.domain) for kind in kinds}
        merged = None if self.opponent else self.paths.output("merge", self.training.domain)
        return TrainingFolders(**folders, merge=merged, refused=done["refused"])


@dataclass(frozen=True)
class JobOutcome:
    """The outcome of a job: its error, if it failed, and its seconds in this call."""

    error: Failure | None
    seconds: float


class _Done(BaseModel):
    energy_j: float | None = None
    refused: str | None


def read_done(path: Path) -> dict[str, Any]:
    """Read the file of a finished training: `refused`, as in `TrainingFolders`, and in old files energy_j.

    Raises:
        DataError: if the file is damaged or of another version.
    """
    remedy = f"delete {path.parent} to measure its training again"
    return read_model(path, _Done, FORMAT, remedy, DataError, fault="is damaged").model_dump()


def row_params(root: Path, table: Table, row: str, extra: Sequence[str], domain: str | None = None) -> Params:
    """Return the settings of a row: those of params.yaml, `Table.row_settings`, and the command line, in this order."""
    return from_root(root, load_params(root / "params.yaml", [*table.row_settings(row, domain), *extra]))


def plan(root: Path, table: Table, extra: Sequence[str]) -> list[Job]:
    """Return the jobs of a table's trainings.

    Raises:
        ConfigError: if a setting or a domain is unknown.
        CheckpointError: if a base model is missing.
    """
    if table.rivals:
        require_monai()
    data = {}
    for domain in table.domains:
        require_domain(StagePaths(root), domain)
        data[domain] = fingerprint(read_dataset(StagePaths(root).data(domain)))
    settings_of = {
        (domain, row): row_params(root, table, row, extra, domain) for domain in table.domains for row in table.rows
    }
    for params in settings_of.values():
        require_checkpoint(params.model)
    jobs = []
    trials: dict[Training, StagePaths] = {}
    for training in trainings_of(table):
        rival_of, transfer_of = table.rivals.get(training.row), table.transfers.get(training.row)
        opponent = trials[replace(training, row=rival_of)] if rival_of else None
        params = settings_of[training.domain, rival_of or transfer_of or training.row]
        params = params.model_copy(update={"seed": training.seed, "domains": (training.domain,)})
        donor = None
        if transfer_of:
            source = table.donor_of(training)
            donor = trials[source]
            params = with_architecture_of(params, donor, source.domain)
        of_rival = [recipe(table.rival_rates)] if rival_of else []
        trials[training] = _trial(root, params, donor, data[training.domain], of_rival)
        jobs.append(Job(training, params, trials[training], opponent, table.rival_rates, donor))
    return jobs


def _trial(root: Path, params: Params, donor: StagePaths | None, data: str, others: Sequence[Any]) -> StagePaths:
    """Return the trial of some settings, whose name is a hash of all that decides its result."""
    settings = params.model_dump(mode="json", include=_DECIDES, exclude=_DECIDES_NOTHING)
    settings["search"]["from"] = architecture_content(params, donor)
    decides = json.dumps([settings, data, checkpoint_sha256(params.model.checkpoint), *others], sort_keys=True)
    return StagePaths(root, f"bench-{hashlib.sha256(decides.encode()).hexdigest()[:12]}")


def run_jobs(jobs: Sequence[Job], workers: int, say: Callable[[str], None], progress: Progress) -> list[Training]:
    """Run all unfinished jobs, and return those that failed.

    A job that was killed goes on from its last epoch. One that fails does not stop the others.

    Args:
        jobs: from `plan`.
        workers: how many run at the same time.
        say: gets a line when a job ends.
        progress: reports the steps in a job, if there is one at a time.
    """
    waiting = [job for job in jobs if not job.done_file.is_file()]
    say(f"{len(jobs)} trainings, {len(jobs) - len(waiting)} of them finished before")
    refused = {job: outcome for job in waiting if (outcome := _attempt(_prepare, job, progress)).error is not None}
    outcomes = _outcomes([job for job in waiting if job not in refused], workers, progress)
    failed = []
    for job, outcome in chain(refused.items(), outcomes):
        if outcome.error is not None:
            failed.append(job.training)
        ending = "finished" if outcome.error is None else "failed"
        reason = "" if outcome.error is None else f": {outcome.error}"
        say(f"{job.training}: {ending} after {duration(outcome.seconds)}{reason}")
    return failed


def _outcomes(jobs: Sequence[Job], workers: int, progress: Progress) -> Iterator[tuple[Job, JobOutcome]]:
    if workers == 1:
        for job in jobs:
            yield job, _attempt(run_job, job, progress)
        return
    for kind in ([job for job in jobs if not job.waits], [job for job in jobs if job.waits]):
        yield from _side_by_side(kind, workers)


def _side_by_side(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, JobOutcome]]:
    # Threads that spin for each other would take from one training what the next one computes with.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        running = {pool.submit(_attempt, run_job, job, silent): job for job in jobs}
        for future in as_completed(running):
            try:
                yield running[future], future.result()
            except BrokenExecutor:
                lost = PipelineError("a process was killed, perhaps for want of memory; run again with fewer --jobs")
                yield running[future], JobOutcome(lost, 0.0)


def _attempt(work: Callable[[Job, Progress], None], job: Job, progress: Progress) -> JobOutcome:
    start = time.monotonic()
    try:
        work(job, progress)
    except (NasLoraError, OSError, RuntimeError) as error:
        return JobOutcome(error, time.monotonic() - start)
    return JobOutcome(None, time.monotonic() - start)


def run_job(job: Job, progress: Progress) -> None:
    """Train, merge and evaluate one model of a table, or train and evaluate a rival.

    Where no merge keeps the validation Dice, the calibrated one is measured all the same, and the refusal noted.

    Raises:
        NasLoraError: if a stage cannot do its work.
    """
    domain, refused = job.training.domain, None
    if job.opponent:
        _require_finished(job.opponent, "time")
        run_rival(domain, job.params, job.paths, job.opponent, job.rates, progress)
        _mark_done(job, refused)
        return
    if job.donor:
        _require_finished(job.donor, "architecture")
    search_train.main(domain, job.params, job.paths, progress)
    try:
        merge.main(domain, job.params, job.paths, progress)
    except MergeError as error:
        refused = str(error)
        anyway = job.params.merge.model_copy(update={"mode": "calibrated", "max_metric_drop": 1.0})
        merge.main(domain, job.params.model_copy(update={"merge": anyway}), job.paths, progress)
    evaluate.main(domain, job.params, job.paths, progress, pictures=False)
    _mark_done(job, refused)


def _mark_done(job: Job, refused: str | None) -> None:
    done: dict[str, Any] = {"format": FORMAT, "cell": str(job.training), "refused": refused}
    write_json(job.done_file, done | {"params": job.params.model_dump(mode="json")})


def _require_finished(trial: StagePaths, gift: str) -> None:
    if not trial.output(DONE_FILE).is_file():
        raise PipelineError(f"the training whose {gift} it gets has not finished; run that one first")


def _prepare(job: Job, progress: Progress) -> None:
    """Validate and preprocess a domain once for all jobs of one image size and view."""
    if job.opponent:
        return  # It reads the images themselves, which its opponent has checked.
    domain, model = job.training.domain, job.params.model
    size = find_spec(model.name, model.image_size).image_size
    shared = StagePaths(job.paths.root, f"bench-data-{size}-{job.params.train.view}")
    arrays, clearance = shared.output("preprocess", domain), shared.output("validate", domain) / CLEARANCE_FILE
    found = json.loads(clearance.read_text(encoding="utf-8")) if clearance.is_file() else {}
    if not arrays.is_dir() or found.get("dataset_sha256") != fingerprint(read_dataset(shared.data(domain))):
        validate.main(domain, job.params, shared, progress)
        preprocess.main(domain, job.params, shared, progress)
    # Training asks for the clearance of its data, too.
    for stage in ("validate", "preprocess"):
        link = job.paths.output(stage, domain)
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(shared.output(stage, domain).resolve())
