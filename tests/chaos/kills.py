"""Kill the training at random moments; whatever the moment, it ends with the same weights.

python -m tests.chaos.kills --times 10
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

# Before torch is loaded: children are forked, and a fork has none of its parent's threads.
os.environ["OMP_NUM_THREADS"] = "1"

from naslora_core.progress import silent
from stages import preprocess, runner, search_train, validate
from stages.paths import StagePaths
from stages.runner import ConsoleProgress
from tests.chaos.project import CROPS, DOMAIN, build, digests

# Of weights and alphas together, in three epochs of the project's images.
STEPS = 20


def main() -> int:
    """Return how many of the trainings ended with other files than the one that was left alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10, help="trainings to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--signals", nargs="+", default=["KILL"], choices=["KILL", "TERM", "INT"], help="in turns")
    parser.add_argument("--crops", action="store_true", help="train on crops of whole images, with a detail path")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="naslora-kills-") as folder:
        root = Path(folder)
        params = build(root, settings=CROPS if options.crops else ())
        os.chdir(root)
        for stage in (validate, preprocess):
            stage.main(DOMAIN, params, StagePaths(root), silent)
        output = StagePaths(root).output("search_train", DOMAIN)
        assert wait(train(search_train.CHECKPOINT_S)) == 0
        expected, differing = digests(output), 0
        for number in range(1, options.times + 1):
            name = options.signals[number % len(options.signals)]
            shutil.rmtree(output)
            told = attack(rng, signal.Signals[f"SIG{name}"])
            same = digests(output) == expected
            differing += not same
            sys.stdout.write(f"{number}: {told}; {'identical' if same else 'DIFFERENT'}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{options.times - differing} of {options.times} identical to the undisturbed run\n")
    return differing


def attack(rng: random.Random, number: signal.Signals) -> str:
    """End a training at a random moment, let another one go on with what it left, and tell about it."""
    while True:
        # From a checkpoint after each step to none within an epoch.
        checkpoint_s = rng.choice([0.0, 0.2, 600.0])
        step, delay = rng.randint(1, STEPS), rng.uniform(0, 0.1)
        code = wait(train(checkpoint_s, Doom(number, step, delay)))
        assert code in (0, -number if number == signal.SIGKILL else 128 + number), code
        # What comes after the last step may be over before its end.
        if code != 0:
            break
    left = sorted(path.suffix.lstrip(".") for path in Path(".naslora/resume").glob("*"))
    assert wait(train(600.0)) == 0
    assert not list(Path(".naslora/resume").glob("*")), "checkpoints of a finished training are left"
    told = f"{number.name} {delay:.2f} s after step {step} of {STEPS}, a checkpoint each {checkpoint_s:g} s"
    return f"{told}, leaving {', '.join(left) or 'nothing'}"


class Doom(ConsoleProgress):
    """Progress that becomes the process's end a moment after a certain step, whatever it does then."""

    def __init__(self, number: signal.Signals, step: int, delay_s: float) -> None:
        super().__init__()
        self._number, self._step, self._delay_s = number, step, delay_s

    def __call__(self, done: int, total: int, message: str) -> None:
        if (done, total) == (self._step, STEPS):
            threading.Timer(self._delay_s, os.kill, (os.getpid(), self._number)).start()


def train(checkpoint_s: float, doom: "Doom | None" = None) -> int:
    """Start the stage in a process of its own, and return its id."""
    if process := os.fork():
        return process
    search_train.CHECKPOINT_S = checkpoint_s
    if doom:
        runner.ConsoleProgress = lambda: doom
    os.dup2(os.open("stage.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    code = 1
    try:
        runner.run_stage(search_train.main, arguments=["--domain", DOMAIN])
        code = 0
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    finally:
        os._exit(code)


def wait(process: int) -> int:
    """Return the exit code of a process, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
