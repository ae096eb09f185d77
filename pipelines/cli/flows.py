"""`naslora flows`: run the pipeline as a Prefect flow, now or on a schedule."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.sweep import sweep

flows_app = typer.Typer(help="Run the pipeline as a Prefect flow, now or whenever it is time.", no_args_is_help=True)
Pull = Annotated[
    bool, typer.Option("--pull", help="Before each look, take over what others have pushed: commits, data, models.")
]
flows_app.command(epilog="Example: naslora flows sweep --method lora --method nas_lora --seed 1 --seed 2 --workers 2")(
    sweep
)
Domain = Annotated[
    list[str] | None,
    typer.Option(help="Only this domain; may be given several times.", show_default="all"),
]


@flows_app.command("run", epilog="Example: naslora flows run --domain leaf_lesions")
def run(
    domain: Domain = None,
    force: Annotated[bool, typer.Option(help="Run every stage, even if nothing has changed.")] = False,
) -> None:
    """Run what has changed, as a flow: with states, logs and a result that Prefect keeps.

    Uses the server at PREFECT_API_URL, or a temporary one on this machine if that is not set.
    """
    from pipelines.flow.server import has_server, use_project_settings
    from pipelines.run.inputs import project_root

    root = project_root()
    use_project_settings(root)
    typer.echo("starting Prefect …")
    from pipelines.flow.retrain import run_flow

    state, summary = run_flow(root, tuple(domain or ()), force)
    typer.echo(f"\nFlow run: {state}\n\n{summary}")
    if not has_server():
        typer.echo("\nNext: look at it in a browser: naslora flows server")


@flows_app.command("server", epilog="Example: naslora flows server --port 4201")
def server(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens, on this machine only.")] = 4200,
) -> None:
    """Start a Prefect server for this project, which stays until it is ended; other terminals use it.

    It keeps its records in .naslora/prefect (PREFECT_HOME is another place), and its pages ask no other host.
    """
    from pipelines.flow.server import start_server
    from pipelines.run.inputs import project_root

    root = project_root()
    typer.echo(
        f"Next, in another terminal: export PREFECT_API_URL=http://127.0.0.1:{port}/api\n"
        "and then naslora flows serve --watch 60, or naslora flows run"
    )
    sys.stdout.flush()
    start_server(root, port)


@flows_app.command("serve", epilog='Example: naslora flows serve --watch 60 --cron "0 3 * * 6"')
def serve(
    domain: Domain = None,
    every: Annotated[float | None, typer.Option(min=1, help="Run every so many minutes.")] = None,
    cron: Annotated[str | None, typer.Option(help="Run by the calendar, as in '0 3 * * 6': Saturdays at 3.")] = None,
    watch: Annotated[float | None, typer.Option(min=1, help="Look for changed data every so many seconds.")] = None,
    pull: Pull = False,
) -> None:
    """Wait here and run the flow on time, when data has changed, and when somebody asks for it.

    Runs never overlap: while one works, at most one more waits, and it looks at the data when its turn has come.
    Needs a Prefect server at PREFECT_API_URL; ending this command leaves its schedules as they are.
    """
    from naslora_core.errors import ConfigError
    from pipelines.flow.clock import describe_cron, local_timezone
    from pipelines.flow.deploy import Triggers
    from pipelines.flow.serve import serve_project

    root, _ = _project_with_server()
    if pull and watch is None:
        raise ConfigError("--pull acts before each look at the data; say how often to look, as in --watch 60")
    if cron is not None:
        typer.echo("\n".join(describe_cron(cron, local_timezone())))
    triggers = Triggers(None if every is None else 60 * every, cron, watch, pull)
    serve_project(root, tuple(domain or ()), triggers, typer.echo)


@flows_app.command("trigger", epilog="Example: naslora flows trigger")
def trigger() -> None:
    """Ask whoever serves the flow to run it now."""
    from pipelines.flow.deploy import trigger_now

    root, pages = _project_with_server()
    name = trigger_now(f"retrain/{root.name}")
    typer.echo(f"Flow run '{name}' is waiting to start.\nNext: follow it at {pages}")


@flows_app.command("watch", epilog="Example: naslora flows watch --every 300")
def watch_(
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks.")] = 60,
    pull: Pull = False,
) -> None:
    """Look for changed data and tell the server: for deployments of prefect.yaml, which a worker runs."""
    from pipelines.flow.serve import watch_data

    root, _ = _project_with_server()
    typer.echo(f"Watching {root / 'data'} every {every:g} s.\nNext: change an image")
    watch_data(root, every, pull, typer.echo)


def _project_with_server() -> tuple[Path, str]:
    """Return the project's folder, and the address of the user's Prefect server in a browser."""
    from pipelines.flow.server import require_server
    from pipelines.run.inputs import project_root

    root = project_root()
    return root, require_server(root)
