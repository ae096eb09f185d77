"""Run one fuzzing case: make files from a seed, let a parser read them, and watch what it does.

A case passes if the parser returns, or raises what people are shown: a NasLoraError, or an OSError with a number.
Everything else is a fault: another exception, 5 s of processor time, a file written outside of the case's folder, a
program started, a connection opened.
"""

import importlib
import os
import pkgutil
import random
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from types import FrameType

from naslora_core.errors import NasLoraError
from tests.fuzz.mutate import mutate_case

TIME_LIMIT_S = 5.0
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Target:
    """A parser and the sound inputs that its cases are made from.

    Attributes:
        name: what `--target` calls it.
        seeds: makes sound inputs, each as files by path; they are small, and mutated.
        run: gives the parser the folder that holds the files of a case.
        weight: how many cases it gets beside the others; less for a slow one.
    """

    name: str
    seeds: Callable[[], list[Files]]
    run: Callable[[Path], object]
    weight: float = 1.0


@dataclass(frozen=True)
class CaseResult:
    """The result of a case: "returned", "refused", or a "fault" that `detail` describes."""

    kind: str
    detail: str = ""


TARGETS: dict[str, Target] = {}


def target(name: str, seeds: Callable[[], list[Files]], weight: float = 1.0) -> Callable[..., Callable[[Path], object]]:
    """Make a function a target; it lies in a file of tests/fuzz/targets, all of which are loaded."""

    def register(run: Callable[[Path], object]) -> Callable[[Path], object]:
        TARGETS[name] = Target(name, seeds, run, weight)
        return run

    return register


def load_targets() -> dict[str, Target]:
    """Import every file of tests/fuzz/targets and return all targets, sorted by name."""
    package = importlib.import_module("tests.fuzz.targets")
    for module in pkgutil.iter_modules(package.__path__, "tests.fuzz.targets."):
        importlib.import_module(module.name)
    return dict(sorted(TARGETS.items()))


class Fuzzer:
    """Runs cases of one target, one after the other, in a temporary folder of its own."""

    def __init__(self, chosen: Target, folder: Path) -> None:
        self._target, self._folder = chosen, folder
        self._seeds = chosen.seeds()

    def files(self, seed: int) -> dict[str, bytes]:
        """Return the files of a case; those of seeds below zero are sound."""
        if seed < 0:
            return dict(self._seeds[-seed - 1])
        rng = random.Random(f"{self._target.name}:{seed}")
        return mutate_case(rng.choice(self._seeds), rng)

    def run(self, seed: int) -> CaseResult:
        """Run a case and return its result."""
        rmtree(self._folder, ignore_errors=True)
        case, scratch = self._folder / "case", self._folder / "tmp"
        case.mkdir(parents=True)
        scratch.mkdir()
        for name, content in self.files(seed).items():
            (case / name).parent.mkdir(parents=True, exist_ok=True)
            (case / name).write_bytes(content)
        before, tempfile.tempdir = tempfile.tempdir, str(scratch)
        try:
            with watched(self._folder), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._target.run(case)
        except NasLoraError as error:
            return CaseResult("refused") if str(error).strip() else CaseResult("fault", "an error without a message")
        except OSError as error:
            return CaseResult("refused") if error.errno is not None else CaseResult("fault", _describe(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return CaseResult("fault", _describe(error))
        finally:
            tempfile.tempdir = before
        return CaseResult("returned")

    @property
    def sound(self) -> range:
        """The seeds whose cases are not mutated."""
        return range(-len(self._seeds), 0)


class Misbehaved(BaseException):
    """Raised where a parser does what it must not; as a BaseException, no `except Exception` catches it."""


_watched_folder: Path | None = None


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Stop what runs within, if it takes too long or reaches for more than `folder`."""
    global _watched_folder

    def stop(number: int, frame: FrameType | None) -> None:
        raise Misbehaved(f"took more than {TIME_LIMIT_S:g} s of processor time")

    previous = signal.signal(signal.SIGVTALRM, stop)
    # The time of the processor, so that a busy machine does not count.
    signal.setitimer(signal.ITIMER_VIRTUAL, TIME_LIMIT_S)
    _watched_folder = folder
    try:
        yield
    finally:
        _watched_folder = None
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


# Which argument is written to; the last one of each is the folder, as a descriptor, that a relative path begins in.
_WRITES = {"os.mkdir": 0, "os.remove": 0, "os.rmdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1}
_FORBIDDEN = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "socket.getaddrinfo",
     "pickle.find_class", "ctypes.dlopen"}
)  # fmt: skip


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _watched_folder is None:
        return
    if event in _FORBIDDEN:
        raise Misbehaved(f"{event} {arguments!r}")
    folder, place = -1, None
    if event == "open":
        path, mode, flags = arguments
        if set("wax+") & set(str(mode or "")) or (mode is None and isinstance(flags, int) and flags & os.O_ACCMODE):
            place = path
    elif event in _WRITES:
        place, folder = arguments[_WRITES[event]], int(str(arguments[-1]))
    if isinstance(place, bytes | str | os.PathLike):
        written = Path(f"/proc/self/fd/{folder}" if folder >= 0 else "", os.fsdecode(place))
        if str(written) != os.devnull and not written.resolve().is_relative_to(_watched_folder.resolve()):
            raise Misbehaved(f"{event} outside of its folder: {str(written)!r}")


sys.addaudithook(_audit)


def _describe(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "tests/fuzz" not in frame.filename]
    place = next((f for f in reversed(frames) if "naslora" in f.filename or "pipelines" in f.filename), None)
    where = f" at {Path(place.filename).name}:{place.lineno}" if place else ""
    return f"{type(error).__name__}{where}: {str(error)[:200]}"
