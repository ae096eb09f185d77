"""Break a pipeline in random ways; one `dvc repro` later it is as if nothing had happened.

python -m tests.chaos.faults --times 50
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import breakage, endings
from tests.chaos.disk import fill_disk, own_mounts, small_disk
from tests.chaos.pipeline import Pipeline

Fault = Callable[[Pipeline], str]
FAULTS: tuple[Fault, ...] = (
    endings.kill,
    endings.kill_stage,
    endings.terminate,
    endings.interrupt,
    breakage.limit_files,
    breakage.forbid_writing,
    breakage.spoil_checkpoint,
    breakage.spoil_output,
    breakage.delete_output,
    breakage.leave_lock,
    breakage.cut_off_record,
    breakage.shift_times,
)


def main() -> int:
    """Return after how many faults the pipeline did not come back to what it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="faults")
    parser.add_argument("--seed", type=int, default=0, help="of what is broken, and when")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these faults alone")
    options = parser.parse_args()
    own_mounts()
    rng, failed = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory(prefix="naslora-faults-") as name, small_disk(Path(name)) as is_small:
        faults = [*FAULTS, fill_disk] if is_small else list(FAULTS)
        if not is_small:
            tell("fill_disk is left out: no file system may be mounted here")
        faults = [fault for fault in faults if fault.__name__ in options.only or not options.only]
        pipeline = Pipeline(Path(name), rng)
        tell(", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in pipeline.seconds.items()))
        for number, fault in enumerate(draw(faults, options.times, rng), 1):
            began = time.monotonic()
            try:
                told, wrong = fault(pipeline), ""
            except AssertionError as error:
                told, wrong = "the stage does not know what happened", f"{error} "
            wrong += pipeline.differences()
            failed += bool(wrong)
            seconds = time.monotonic() - began
            tell(f"{number}: {fault.__name__}: {told}; {wrong or 'as it was'} ({seconds:.0f} s)")
    tell(f"{options.times - failed} of {options.times} faults left no trace")
    return failed


def draw(faults: list[Fault], times: int, rng: random.Random) -> list[Fault]:
    """Return faults in random order, each as often as the others."""
    drawn: list[Fault] = []
    while len(drawn) < times:
        drawn += rng.sample(faults, len(faults))
    return drawn[:times]


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
