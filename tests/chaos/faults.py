"""Break a running pipeline in random ways; one `dvc repro` later it is as if nothing had happened.

python -m tests.chaos.faults --times 50
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ruamel.yaml import YAML

from pipelines.dvc import environment
from tests.chaos.project import DOMAIN, TIMES, build, digests

ORDER = ("validate", "preprocess", "search_train", "merge", "evaluate", "report")
# Great Expectations puts the hour and an id of the run into its pages; the report shows what took how long.
UNLIKE_EACH_TIME = ("data_docs", "report")
# DVC writes it for git, and adds lines in the order in which stages happen to run.
FOR_GIT = ".gitignore"


class Pipeline:
    """A DVC repository in which the pipeline has run once, undisturbed.

    Args:
        root: an empty folder.
        rng: chooses what to break.
        last: the stage up to which it runs.
    """

    def __init__(self, root: Path, rng: random.Random, last: str = "report") -> None:
        self.root, self.rng = root, rng
        self.stages = ORDER[: ORDER.index(last) + 1]
        self._target = last if last == "report" else f"{last}@{DOMAIN}"
        build(root)
        for words in (["git", "init", "--quiet"], [*_dvc(), "init", "--quiet"]):
            subprocess.run(words, cwd=root, env=environment(), check=True)
        began = time.monotonic()
        self.repro()
        self.whole_s = time.monotonic() - began
        self.expected = self.outcome()

    def repro(self) -> None:
        """Run what is out of date; raises AssertionError with its words if that fails."""
        process = self.start()
        printed = process.communicate()[0]
        assert process.returncode == 0, printed

    def start(self, limit: int | None = None) -> "subprocess.Popen[str]":
        """Start `dvc repro` in a process group of its own, whose files may not be longer than `limit` bytes."""
        return subprocess.Popen(
            [*_dvc(), "repro", self._target], cwd=self.root, env=environment(), start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: limit and resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )  # fmt: skip

    def forget(self, first: str) -> None:
        """Make DVC forget that it has ever run a stage and those after it, with all that they wrote."""
        forgotten = self.stages[self.stages.index(first) :]
        for stage in forgotten:
            shutil.rmtree(self.root / "artifacts" / stage, ignore_errors=True)
        lock = YAML(typ="safe").load(self.root / "dvc.lock")
        lock["stages"] = {k: v for k, v in lock["stages"].items() if k.partition("@")[0] not in forgotten}
        YAML(typ="safe").dump(lock, self.root / "dvc.lock")
        self.forget_runs()

    def forget_runs(self) -> None:
        """Let the stages run again where DVC would bring their results from its cache."""
        shutil.rmtree(self.root / ".dvc" / "cache" / "runs", ignore_errors=True)

    def outcome(self) -> dict[str, str]:
        """Return what DVC recorded of all outputs and what the files hold, without what differs each time."""
        lock = YAML(typ="safe").load(self.root / "dvc.lock")["stages"]
        recorded = {out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"]}
        known = {path: md5 for path, md5 in recorded.items() if Path(path).name not in (*TIMES, *UNLIKE_EACH_TIME)}
        files = digests(self.root / "artifacts")
        left_out = {*UNLIKE_EACH_TIME, FOR_GIT}
        return known | {path: sha for path, sha in files.items() if not left_out & set(Path(path).parts)}

    def a_file(self) -> Path:
        """Return one of the files that the stages wrote."""
        files = [path for path in (self.root / "artifacts").rglob("*") if path.is_file() and path.name != FOR_GIT]
        return self.rng.choice(sorted(path for path in files if path.stat().st_size))


def end(pipeline: Pipeline, number: signal.Signals) -> str:
    """Send a signal to dvc and the stage it runs, at a random moment of a run that begins at a random stage."""
    first = pipeline.rng.choice(pipeline.stages)
    pipeline.forget(first)
    process = pipeline.start()
    # A run from a late stage is over sooner: then nothing was broken, which is a case as well.
    delay = pipeline.rng.uniform(0.5, pipeline.whole_s * (1 - pipeline.stages.index(first) / len(pipeline.stages)))
    try:
        printed = process.communicate(timeout=delay)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, number)
        printed = process.communicate()[0]
    reached = [line for line in printed.splitlines() if line.startswith("Running stage")]
    return f"{number.name} after {delay:.1f} s of a run from {first}, {reached[-1] if reached else 'before any stage'}"


def kill(pipeline: Pipeline) -> str:
    """End all at once."""
    return end(pipeline, signal.SIGKILL)


def terminate(pipeline: Pipeline) -> str:
    """Ask all to end."""
    return end(pipeline, signal.SIGTERM)


def spoil_checkpoint(pipeline: Pipeline) -> str:
    """Kill a training that has a checkpoint, and damage that."""
    pipeline.forget("search_train")
    process = pipeline.start()
    folder = pipeline.root / ".naslora" / "resume"
    while process.poll() is None and not list(folder.glob("[!.]*.pt")):
        time.sleep(0.01)
    time.sleep(pipeline.rng.uniform(0, 0.5))
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    checkpoints = sorted(folder.glob("[!.]*.pt*"))
    return "; ".join(damage(path, pipeline.rng) for path in checkpoints[:1]) or "no checkpoint was left to damage"


def spoil_output(pipeline: Pipeline) -> str:
    """Damage a file that a stage wrote; half of the time DVC cannot bring it back from its cache."""
    if again := pipeline.rng.random() < 0.5:
        pipeline.forget_runs()
    return damage(pipeline.a_file(), pipeline.rng) + (", forgetting the runs" if again else "")


def delete_output(pipeline: Pipeline) -> str:
    """Delete a file that a stage wrote, or the whole folder."""
    path = pipeline.a_file()
    if pipeline.rng.random() < 0.5:
        pipeline.forget_runs()
    if pipeline.rng.random() < 0.5:
        path.unlink()
        return f"deleted {path.relative_to(pipeline.root)}"
    shutil.rmtree(path.parent)
    return f"deleted {path.parent.relative_to(pipeline.root)}"


def fill_disk(pipeline: Pipeline) -> str:
    """Run where no file may grow beyond a random size, which is how a full disk looks to whoever writes one."""
    pipeline.forget(pipeline.rng.choice(pipeline.stages))
    limit = int(10 ** pipeline.rng.uniform(4, 7))
    process = pipeline.start(limit)
    printed = process.communicate()[0]
    assert process.returncode == 0 or not any("Traceback" in line for line in printed.splitlines()), printed
    said = [line for line in printed.splitlines() if line.startswith(("error:", "ERROR:"))]
    return f"no file above {limit} bytes: {said[0] if said else 'it was enough'}"


def damage(path: Path, rng: random.Random) -> str:
    """Cut a file off somewhere, or turn one bit of it round."""
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    if rng.random() < 0.5:
        path.write_bytes(content[:place])
        return f"cut {path.name} of {DOMAIN} at byte {place} of {len(content)}"
    content[place] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return f"turned a bit of byte {place} of {path.name}"


FAULTS: tuple[Callable[[Pipeline], str], ...] = (
    kill, kill, terminate, spoil_checkpoint, spoil_output, delete_output, fill_disk,
)  # fmt: skip


def check(pipeline: Pipeline) -> str:
    """Run once more, undisturbed; return what is not as it was, "" if all is."""
    try:
        pipeline.repro()
    except AssertionError as error:
        return f"dvc repro fails: {error}"
    found = pipeline.outcome()
    changed = sorted(
        path for path in pipeline.expected.keys() | found if pipeline.expected.get(path) != found.get(path)
    )
    left = [str(path) for top in ("artifacts", ".naslora") for path in (pipeline.root / top).rglob("*.tmp-*")]
    left += [str(path) for path in (pipeline.root / ".naslora" / "resume").glob("*")]
    return "; ".join([f"{path} differs" for path in changed] + [f"{path} is left" for path in left])


def main() -> int:
    """Return after how many faults the pipeline did not come back to what it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="faults")
    parser.add_argument("--seed", type=int, default=0, help="of what is broken, and when")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="naslora-faults-") as name:
        pipeline, failed = Pipeline(Path(name), random.Random(options.seed)), 0
        for number in range(1, options.times + 1):
            fault = FAULTS[number % len(FAULTS)]
            told = fault(pipeline)
            wrong = check(pipeline)
            failed += bool(wrong)
            sys.stdout.write(f"{number}: {told}; {wrong or 'as it was'}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{options.times - failed} of {options.times} faults left no trace\n")
    return failed


def _dvc() -> list[str]:
    return [sys.executable, "-m", "dvc"]


if __name__ == "__main__":
    sys.exit(main())
