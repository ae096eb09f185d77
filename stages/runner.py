"""What every stage does before and after its own work: arguments, settings, progress, errors."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from naslora_core.config import Params, load_params
from naslora_core.errors import ConfigError, NasLoraError
from naslora_core.progress import Progress
from stages.paths import StagePaths

StageMain = Callable[[str, Params, StagePaths, Progress], None]


class ConsoleProgress:
    """Print progress: one line that rewrites itself on a terminal, else a new line every few seconds.

    Args:
        stream: where to print; None is standard error.
        interval_s: least time between two lines where lines cannot be rewritten.
    """

    def __init__(self, stream: TextIO | None = None, interval_s: float = 5.0) -> None:
        self._stream = stream or sys.stderr
        self._interval_s = interval_s if not self._stream.isatty() else 0.1
        self._printed_at = time.monotonic()

    def __call__(self, done: int, total: int, message: str) -> None:
        """Print `message` and how far the work is, unless the last print was a moment ago."""
        finished = done >= total
        if not finished and time.monotonic() - self._printed_at < self._interval_s:
            return
        self._printed_at = time.monotonic()
        line = f"  {message}  {done}/{total}"
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[2K{line}" + ("\n" if finished else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()


def run_stage(main: StageMain, needs_domain: bool = True, arguments: Sequence[str] | None = None) -> None:
    """Run a stage as a program; exits with 1 and one line of explanation if it cannot do its work.

    Args:
        main: the stage; gets "" as domain where `needs_domain` is False.
        needs_domain: whether the stage works on one domain or on all of them.
        arguments: the command line; None is that of the process.
    """
    options = _parse(arguments, needs_domain)
    try:
        paths = StagePaths(Path(), options.run)
        if options.settings and paths.run is None:
            raise ConfigError("--set needs --run NAME: the pipeline's own outputs always follow params.yaml")
        params = load_params(paths.params, options.settings)
        if needs_domain:
            require_domain(paths, options.domain)
        main(options.domain, params, paths, ConsoleProgress())
    except (NasLoraError, OSError) as error:
        # A full disk or a forbidden file has a number and explains itself; anything else is a fault to trace.
        if isinstance(error, OSError) and error.errno is None:
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)


def require_domain(paths: StagePaths, domain: str) -> None:
    """Check that there is data for `domain`.

    Raises:
        ConfigError: if not; the message lists the domains there are.
    """
    if domain not in (known := paths.domains()):
        have = f"domains with data: {', '.join(known)}" if known else "there is no data at all"
        raise ConfigError(
            f"unknown domain '{domain}': {paths.data(domain) / 'dataset.yaml'} not found; {have}. "
            "Bring images in with naslora data import, or correct the name"
        )


def _parse(arguments: Sequence[str] | None, needs_domain: bool) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run one stage of the pipeline.")
    if needs_domain:
        parser.add_argument("--domain", required=True, help="which folder of data/ to work on")
    else:
        parser.set_defaults(domain="")
    parser.add_argument("--run", help="write to runs/RUN instead of the pipeline's own outputs")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE",
                        help="replace a parameter; only with --run")  # fmt: skip
    return parser.parse_args(arguments)
