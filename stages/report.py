"""Stage report: one page over all domains of params.yaml."""

import json
from typing import Any

from naslora_core.config import Params
from naslora_core.files import atomic_directory, file_sha256
from naslora_core.progress import Progress
from naslora_core.report.page import write_report
from naslora_core.report.sources import Folders, read_results
from stages.fit.comparison import made_otherwise
from stages.paths import StagePaths
from stages.provenance import provenance
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress) -> None:
    """Write index.html and the charts as PNG; `domain` is empty, the page covers all of `params.domains`."""
    results = [read_results(name, _folders(paths, name)) for name in params.domains]
    with atomic_directory(paths.output("report")) as folder:
        write_report(
            folder, results, params, paths.run, progress, _service(paths, params), provenance(paths.root),
            made_otherwise(params, paths),
        )  # fmt: skip


def _service(paths: StagePaths, params: Params) -> dict[str, Any]:
    """Return how each domain's model compares with the one in service, where that has been decided."""
    found = {}
    for domain in params.domains:
        note = paths.decision(domain)
        if paths.run is None and note.is_file():
            decision = json.loads(note.read_text(encoding="utf-8"))
            weights = paths.source("merge", domain) / "model.safetensors"
            # A model that was made since, by dvc repro, has not been compared with any.
            if decision["weights_sha256"] == file_sha256(weights):
                found[domain] = decision
    return found


def _folders(paths: StagePaths, domain: str) -> Folders:
    return Folders(
        validate=paths.source("validate", domain),
        search_train=paths.source("search_train", domain),
        merge=paths.source("merge", domain),
        evaluate=paths.source("evaluate", domain),
        times=tuple(paths.timing_of_source(stage, domain) for stage in ("search_train", "merge", "evaluate")),
    )


if __name__ == "__main__":
    run_stage(main, needs_domain=False, stage="report")
