"""Fuzz every parser of the project: python -m tests.fuzz --cases 100000.

Found faults go to tests/fuzz/faults.txt and are shown again by --replay target:seed; a case depends on its seed alone.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.harness import CaseResult, Fuzzer, Target, load_targets

# What a parser may take beside what Python and torch have taken; a bomb then fails instead of filling the machine.
MEMORY_B = 3 << 30
# Where files are made safe against a power failure, a disk takes most of the time.
MEMORY_DISK = Path("/dev/shm")


def main() -> int:
    """Run the cases asked for, and return how many faults there were, as far as an exit code can say."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.fuzz")
    parser.add_argument("--cases", type=int, default=10_000, help="in all, shared among the targets")
    parser.add_argument("--first", type=int, default=0, help="first seed; another one makes other cases")
    parser.add_argument("--target", action="append", help="only this one; may be given several times")
    parser.add_argument("--replay", help="target:seed; run one case, keep its files and show what happens")
    parser.add_argument("--faults", type=Path, help="file that faults are written to")
    options = parser.parse_args()
    targets = load_targets()
    if options.replay:
        return replay(targets, options.replay)
    if unknown := set(options.target or ()) - targets.keys():
        parser.error(f"unknown target {', '.join(unknown)}; there are {', '.join(targets)}")
    chosen = [targets[name] for name in options.target or targets]
    limit_memory()
    found = 0
    for one in chosen:
        cases = round(options.cases * one.weight / sum(other.weight for other in chosen))
        found += run(one, range(options.first, options.first + cases), options.faults)
    return min(found, 99)


def run(target: Target, seeds: range, faults: Path | None) -> int:
    """Run the sound cases of a target and those of `seeds`; print a line, and return how many faults there were."""
    begin, kinds, seen = time.monotonic(), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as folder:
        fuzzer = Fuzzer(target, Path(folder) / "watched")
        for seed in (*fuzzer.sound, *seeds):
            result = fuzzer.run(seed)
            if seed < 0 and result.kind != "returned":
                result = CaseResult("fault", f"a sound input was {result.kind} {result.detail}")
            kinds[result.kind] += 1
            if result.kind == "fault":
                kind = result.detail.partition(": ")[0]
                seen[kind] += 1
                if seen[kind] <= 3:
                    report(f"{target.name}:{seed}  {result.detail}", faults)
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    say(f"{target.name:20} {sum(kinds.values()):7,} cases in {time.monotonic() - begin:5.0f} s: {told}")
    return kinds["fault"]


def report(line: str, faults: Path | None) -> None:
    """Print a fault, and add it to the file of faults."""
    say(f"  {ascii(line)}")
    if faults:
        with faults.open("a", encoding="utf-8") as file:
            file.write(ascii(line) + "\n")


def replay(targets: dict[str, Target], case: str) -> int:
    """Run one case, leave its files where they can be looked at, and print its result."""
    name, _, seed = case.rpartition(":")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-replay-"))
    result = Fuzzer(targets[name], folder / "watched").run(int(seed))
    say(f"{case} {result.kind} {ascii(result.detail)}\nits files are in {folder / 'watched' / 'case'}")
    return int(result.kind == "fault")


def say(line: str) -> None:
    """Print a line at once, for who watches a long run."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def limit_memory() -> None:
    """Make an allocation far beyond what parsers need an error."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MEMORY_B
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
