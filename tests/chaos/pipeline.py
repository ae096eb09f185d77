"""The real pipeline on the smallest data, in a DVC repository of its own, to be broken and to be looked at after."""

import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML

from naslora_core.errors import PipelineError
from pipelines.dvc import command as dvc
from tests.chaos.project import DOMAIN, REPOSITORY, build, digests

_DVC = (sys.executable, "-m", "dvc")
STAGES = ("validate", "preprocess", "search_train", "merge", "evaluate", "report")
# How long things took, and the report, which shows it; the curves of a training that runs are no output.
UNLIKE_EACH_TIME = ("timing", "report", "live")
# DVC writes it for git, and adds lines in the order in which stages happen to run.
FOR_GIT = ".gitignore"
# Of dvc, until it starts a stage.
START_S = 2.0


class Pipeline:
    """A DVC repository in which the pipeline has run once, undisturbed.

    Args:
        root: an empty folder.
        rng: chooses what to break.
        last: the stage up to which it runs.
    """

    def __init__(self, root: Path, rng: random.Random, last: str = "report") -> None:
        self.root, self.rng = root, rng
        self.stages = STAGES[: STAGES.index(last) + 1]
        self._target = last if last == "report" else f"{last}@{DOMAIN}"
        build(root)
        # DVCLive asks git for the last commit.
        git = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
        self._call("git", "init", "--quiet")
        self._call(*git, "commit", "--quiet", "--allow-empty", "--message=start")
        self._call(*_DVC, "init", "--quiet")
        shutil.copy(REPOSITORY / ".dvc" / "config", root / ".dvc" / "config")
        # What DVC knows about files lies outside otherwise, and outlives this folder.
        self._call(*_DVC, "config", "core.site_cache_dir", str(root / ".dvc" / "tmp" / "site"))
        self.seconds = self._run_and_measure()
        self._expected = self.outcome()

    def repro(self) -> None:
        """Bring all up to date as `naslora run` does; raises PipelineError if a stage fails."""
        dvc.repro(self.root, [self._target], lambda line: None)

    def start(self, limit: int | None = None, prefix: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Start `dvc repro` in a process group of its own, whose files may not be longer than `limit` bytes."""
        return subprocess.Popen(
            [*prefix, *_DVC, "repro", self._target], cwd=self.root, env=dvc.environment(), start_new_session=True,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: limit and resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )  # fmt: skip

    def run_to_its_end(self, limit: int | None = None, prefix: Sequence[str] = ()) -> str:
        """Run where something is in the way; return what was said of it, in one line without a traceback."""
        process = self.start(limit, prefix)
        printed = process.communicate()[0]
        assert process.returncode == 0 or "Traceback" not in printed, printed
        said = [line for line in printed.splitlines() if line.startswith(("error:", "ERROR:"))]
        return said[0] if said else f"it ended with {process.returncode}"

    def forget(self, stage: str) -> None:
        """Make DVC forget that it has ever run a stage; half of the time what that wrote is gone as well."""
        if self.rng.random() < 0.5:
            shutil.rmtree(self.root / "artifacts" / stage, ignore_errors=True)
        lock = YAML(typ="safe").load(self.root / "dvc.lock")
        lock["stages"] = {name: one for name, one in lock["stages"].items() if name.partition("@")[0] != stage}
        YAML(typ="safe").dump(lock, self.root / "dvc.lock")
        self.forget_runs()

    def forget_runs(self) -> None:
        """Let stages run again where DVC would bring their results from its cache."""
        shutil.rmtree(self.root / ".dvc" / "cache" / "runs", ignore_errors=True)

    def checkpoints(self) -> list[Path]:
        """Return the states of a training that has not finished, the last one first."""
        return sorted((self.root / ".naslora" / "resume").glob("[!.]*.pt*"))

    def files(self, *folders: str) -> list[Path]:
        """Return the files in folders that hold anything, sorted."""
        found = [path for folder in folders for path in (self.root / folder).rglob("*") if path.is_file()]
        return sorted(path for path in found if path.stat().st_size and path.name != FOR_GIT)

    def outcome(self) -> dict[str, str]:
        """Return what DVC recorded of all outputs and what the files hold, without what differs each time."""
        lock = YAML(typ="safe").load(self.root / "dvc.lock")["stages"]
        recorded = {out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"]}
        files, left_out = digests(self.root / "artifacts"), {*UNLIKE_EACH_TIME, FOR_GIT}
        return {path: sha for path, sha in (recorded | files).items() if not left_out & set(Path(path).parts)}

    def differences(self) -> str:
        """Bring all up to date, undisturbed; return what is not as in the first run, "" if all is."""
        try:
            self.repro()
        except PipelineError as error:
            return f"dvc repro fails: {error}"
        expected, found = self._expected, self.outcome()
        changed = sorted(path for path in expected.keys() | found if expected.get(path) != found.get(path))
        # What DVC leaves in .dvc is its own.
        places = [path for path in self.root.iterdir() if path.is_dir() and path.name not in (".dvc", ".git")]
        left = [path for place in places for path in place.rglob("*.tmp-*")] + self.checkpoints()
        return "; ".join(
            [f"{path} differs" for path in changed] + [f"{path.relative_to(self.root)} is left" for path in left]
        )

    def _run_and_measure(self) -> dict[str, float]:
        """Run all stages once; return how many seconds each takes."""
        began: dict[str, float] = {}

        def note(line: str) -> None:
            if (stage := line.partition(" ")[0]) in STAGES:
                began[stage] = time.monotonic()

        dvc.repro(self.root, [self._target], note)
        ends = [*list(began.values())[1:], time.monotonic()]
        return {stage: end - start for (stage, start), end in zip(began.items(), ends, strict=True)}

    def _call(self, *words: str) -> None:
        subprocess.run(words, cwd=self.root, env=dvc.environment(), check=True)
