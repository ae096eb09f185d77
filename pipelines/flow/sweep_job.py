"""The jobs of a sweep: one training each, in a clone of its own. Knows nothing of Prefect."""

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from naslora_core.files import file_sha256
from pipelines.flow.clone import CloneSource, compute, fresh_clone
from stages.paths import StagePaths

# Read by OpenMP, MKL and OpenBLAS, and so by torch and numpy, when a stage starts.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class SweepJob:
    """One training: a domain, a method of adapter.method, and a seed."""

    domain: str
    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.domain} · {self.method} · seed {self.seed}"

    def settings(self) -> dict[str, Any]:
        """Return what the job changes in params.yaml."""
        return {"domains": [self.domain], "adapter.method": self.method, "seed": self.seed}


def jobs_of(domains: Sequence[str], methods: Sequence[str], seeds: Sequence[int]) -> list[SweepJob]:
    """Return every combination."""
    return [SweepJob(*one) for one in product(domains, methods, seeds)]


def domains_of_several(jobs: Sequence[SweepJob]) -> list[str]:
    """Return the domains that more than one job is about."""
    domains = [job.domain for job in jobs]
    return [domain for domain in dict.fromkeys(domains) if domains.count(domain) > 1]


def run_job(source: CloneSource, job: SweepJob, threads: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Train and evaluate in a temporary clone, or take over what was computed before.

    Args:
        source: what to clone.
        job: what to train.
        threads: how many threads each stage computes with.
        say: gets a line whenever a stage starts or has come further.

    Returns:
        The job; its seconds; whether it trained or found the result; the SHA-256 of the merged model; and the merged
        model's means over the test images.

    Raises:
        PipelineError: if a stage, git or DVC fails, with its own words.
    """
    begin = time.monotonic()
    said: list[str] = []

    def note(line: str) -> None:
        said.append(line)
        say(line)

    limit_threads(threads)
    with fresh_clone(source, job.settings()) as project:
        name = f"{job.domain}-{job.method}-{job.seed}".replace(":", "-")
        compute(source, project, [f"evaluate@{job.domain}"], name, note)
        paths = StagePaths(project)
        scores = json.loads((paths.output("evaluate", job.domain) / "metrics.json").read_text("utf-8"))
        model = file_sha256(paths.output("merge", job.domain) / "model.safetensors")
    how = {
        "seconds": round(time.monotonic() - begin, 1),
        "trained": f"search_train · {job.domain}" in said,
        "model_sha256": model,
    }
    return asdict(job) | how | scores["merged"]


def prepare_domain(source: CloneSource, domain: str, threads: int, say: Callable[[str], None]) -> None:
    """Run the stages that all jobs on a domain have in common, so that no two jobs compute them at a time.

    Raises:
        PipelineError: if a stage, git or DVC fails, with its own words.
    """
    limit_threads(threads)
    with fresh_clone(source, {"domains": [domain]}) as project:
        compute(source, project, [f"{stage}@{domain}" for stage in source.shared], domain, say)


def limit_threads(threads: int) -> None:
    """Let every program that this process starts from now on compute with so many threads."""
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))


def default_threads(workers: int) -> int:
    """Return the number of threads with which `workers` jobs at a time use this machine's cores, at least 1."""
    cores = os.cpu_count() or 1
    with suppress(AttributeError):
        cores = len(os.sched_getaffinity(0))
    return max(1, cores // workers)
