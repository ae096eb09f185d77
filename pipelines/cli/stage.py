"""`naslora stage`: run one stage with other settings as a trial, beside the pipeline."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, print_result
from stages.runner import OPTIONS

_NOT_STAGES = {"__init__", "console", "curves", "inputs_at_start", "paths", "provenance", "run_cache", "runner"}


def stage_names() -> list[str]:
    """Return the names of all stages: the modules of the package `stages`, sorted."""
    import stages

    folder = Path(stages.__path__[0])
    return sorted(file.stem for file in folder.glob("*.py") if file.stem not in _NOT_STAGES)


def stage(
    name: Annotated[str, typer.Argument(help="validate, preprocess, search-train, merge, evaluate or report.")],
    domain: Annotated[str | None, typer.Option(help=OPTIONS["domain"])] = None,
    run: Annotated[str, typer.Option(help=OPTIONS["run"])] = "trial",
    settings: Annotated[list[str] | None, typer.Option("--set", help=OPTIONS["set"])] = None,
    force: Annotated[bool, typer.Option("--force", help=OPTIONS["force"])] = False,
    as_json: Json = False,
) -> None:
    """Run one stage with other settings; the pipeline's own outputs stay as they are.

    Inputs are those of the same trial where it has them, else those of the pipeline.
    """
    from naslora_core.config import load_params
    from naslora_core.errors import ConfigError
    from pipelines.run.inputs import project_root
    from stages.paths import StagePaths
    from stages.runner import require_domain

    module = name.replace("-", "_")
    if module not in (known := stage_names()):
        raise ConfigError(f"unknown stage '{name}'; known: {', '.join(known)}")
    if force and module != "search_train":
        raise ConfigError(f"--force is for search-train alone; stage '{name}' has nothing to force. Leave it out")
    paths = StagePaths(project_root(), run)
    load_params(paths.params, settings or ())
    if domain:
        require_domain(paths, domain)
    options = ["--domain", domain] if domain else []
    options += ["--force"] * force
    for setting in settings or ():
        options += ["--set", setting]
    command = [sys.executable, "-m", f"stages.{module}", "--run", run, *options]
    _run(command, paths.root, as_json)
    output, following = paths.output(module, domain), _next_step(module, domain, run, settings or ())
    typer.echo(f"Outputs: {output}")
    typer.echo(f"Next: {following}")
    print_result({"stage": module, "domain": domain, "run": run, "output": output, "next": following})


def _run(command: list[str], root: Path, as_json: bool) -> None:
    """Run a stage, which prints its own error; with --json the message is raised for the document.

    Raises:
        PipelineError: if the stage fails and `as_json` is wanted.
    """
    from naslora_core.errors import PipelineError
    from pipelines.dvc.command import environment

    if not as_json:
        if code := subprocess.run(command, cwd=root, env=environment(), check=False).returncode:
            raise typer.Exit(code)
        return
    done = subprocess.Popen(
        command, cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = []
    with done:
        for line in done.stdout or ():
            typer.echo(line, nl=False)
            said.append(line)
    if done.returncode:
        raise PipelineError("".join(said).rpartition("error: ")[2].strip() or f"the stage ended with {done.returncode}")


def _next_step(module: str, domain: str | None, run: str, settings: Sequence[str]) -> str:
    following = {
        "validate": "preprocess",
        "preprocess": "search-train",
        "search_train": "merge",
        "merge": "evaluate",
    }
    if module in following:
        # With the same settings, which the next stage would else find contradicted by this one's output.
        given = [part for setting in settings for part in ("--set", setting)]
        return shlex.join(["naslora", "stage", following[module], "--domain", str(domain), "--run", run, *given])
    return "to keep these settings, write them into params.yaml and start naslora run"
