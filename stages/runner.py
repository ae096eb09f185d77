"""Run a stage as a program: arguments, settings, progress, errors."""

import argparse
import errno
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import FrameType

from naslora_core.errors import ConfigError, NasLoraError, is_out_of_memory
from naslora_core.telemetry import turn_telemetry_off
from stages.console import ConsoleProgress, end_bars
from stages.paths import StagePaths
from stages.run_cache import keep_result, look_at_inputs

# main(domain, params, paths, progress), and a keyword for each switch that was given. What it returns, if anything, is
# why its result must not be found again by its inputs: it depends on more than those.
StageMain = Callable[..., str | None]
# The command-line options of a stage, as a program of its own and by `naslora stage`.
OPTIONS = {
    "domain": "Which folder of data/; all stages but report need it.",
    "run": "Name of the trial; outputs go to runs/RUN.",
    "set": "Replace a parameter: key=value; may be repeated.",
    "force": "search-train only: train on data that the gate has not passed.",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run_stage(
    main: StageMain,
    needs_domain: bool = True,
    arguments: Sequence[str] | None = None,
    switches: Collection[str] = (),
    stage: str = "",
) -> None:
    """Run a stage as a program; exits with 1 and one line of explanation if it cannot do its work.

    Ctrl-C ends it with 130 and SIGTERM with 143, after what is unfinished has been removed.

    Args:
        main: the stage; gets "" as domain where `needs_domain` is False.
        needs_domain: whether the stage works on one domain or on all of them.
        arguments: the command line; None is that of the process.
        switches: names in `OPTIONS` that this stage alone has; those that are given become `name=True`.
        stage: its name, for what it inherits; "" is one without inputs of other stages.
    """
    # Not at the top, where `naslora --help` would wait for them.
    from naslora_core.config import load_params
    from stages.fit.require import require_fit

    turn_telemetry_off()
    options = _parse(arguments, needs_domain, switches)
    chosen = {name: True for name in switches if getattr(options, name)}
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        paths = StagePaths(Path(), options.run)
        if (options.settings or chosen) and paths.run is None:
            given = ", ".join(["--set"] * bool(options.settings) + [f"--{name}" for name in chosen])
            raise ConfigError(f"{given} needs --run NAME: the pipeline's own outputs always follow params.yaml")
        start = look_at_inputs(options.domain)
        params = load_params(paths.params, options.settings)
        if needs_domain:
            require_domain(paths, options.domain)
        if stage:
            require_fit(stage, options.domain, params, paths, options.settings)
        progress = ConsoleProgress()
        try:
            reason = main(options.domain, params, paths, progress, **chosen)
            keep_result(progress, reason, start)
        finally:
            end_bars()
    except (NasLoraError, OSError, RuntimeError, MemoryError) as error:
        if (message := _explain(error)) is None:
            raise
        sys.stderr.write(f"error: {message}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
    except SystemExit:
        sys.stderr.write("error: ended by SIGTERM; run again to go on\n")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _explain(error: Exception) -> str | None:
    """Return the message of an expected error; None for a bug, which is shown with its traceback."""
    if isinstance(error, NasLoraError):
        return str(error)
    if is_out_of_memory(error):
        reason = str(error).partition("\n")[0]
        return (
            f"not enough memory ({reason}); lower train.batch_size or model.image_size, set "
            "model.gradient_checkpointing: true, or close other programs"
        )
    # A full disk or a forbidden file has a number.
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error}" + ("; free some space and run again" if error.errno in _FULL else "")
    return None


def _leave(signum: int, frame: FrameType | None) -> None:
    # Through the exception handlers, which remove what is unfinished.
    sys.exit(128 + signum)


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


def _parse(arguments: Sequence[str] | None, needs_domain: bool, switches: Collection[str]) -> argparse.Namespace:
    about = "Run one stage of the pipeline, or with --run a trial of it; only a trial can be told more than its domain."
    parser = argparse.ArgumentParser(description=about)
    if needs_domain:
        parser.add_argument("--domain", required=True, help=OPTIONS["domain"])
    else:
        parser.set_defaults(domain="")
    parser.add_argument("--run", help=OPTIONS["run"])
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE", help=OPTIONS["set"])
    for name in switches:
        parser.add_argument(f"--{name}", action="store_true", help=OPTIONS[name])
    return parser.parse_args(arguments)
