"""Run the gate on the working data of several domains, before DVC stores it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from naslora_core.config import Params
from naslora_core.errors import DataError
from naslora_core.progress import Progress
from naslora_core.quality.gate import check_dataset
from naslora_core.quality.offending import write_offending
from naslora_core.quality.verdict import Verdict
from naslora_core.sam.specs import find_spec
from stages.paths import StagePaths


def check_domains(
    root: Path, params: Params, domains: Sequence[str], say: Callable[[str], None], progress: Progress
) -> list[Verdict]:
    """Run the gate on every domain, report each verdict, and raise if one is rejected.

    Returns:
        The verdicts, in the order of `domains`.

    Raises:
        DataError: with the verdicts of all domains that failed; their failing files are listed in .naslora/gate.
    """
    input_px = find_spec(params.model.name, params.model.image_size).image_size
    verdicts, rejected = [], []
    for domain in domains:
        say(f"data check · {domain}")
        paths = StagePaths(root)
        measured, reference = paths.measured(domain), paths.served_measurements(domain)
        verdict, _ = check_dataset(
            paths.data(domain), params.quality, progress, measured, reference, None, input_px, paths.digests(domain)
        )
        verdicts.append(verdict)
        if verdict.passed:
            say("  " + verdict.message().replace("\n", "\n  "))
            continue
        offending = root / ".naslora" / "gate" / f"{domain}.csv"
        write_offending(offending, verdict)
        rejected.append(verdict.message(rest=str(offending.relative_to(root))))
    if rejected:
        raise DataError("\n".join(rejected))
    return verdicts
