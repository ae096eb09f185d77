"""`naslora flows`: the pipeline as a Prefect flow."""

import os
from typing import Annotated

import typer

flows_app = typer.Typer(help="Run the pipeline as a Prefect flow.", no_args_is_help=True)


@flows_app.command("run", epilog="Example: naslora flows run --domain leaf_lesions")
def run(
    domain: Annotated[
        list[str] | None,
        typer.Option(help="Only this domain; may be given several times.", show_default="all"),
    ] = None,
    force: Annotated[bool, typer.Option(help="Run every stage, even if nothing has changed.")] = False,
) -> None:
    """Run what has changed, as a flow: with states, logs and a result that Prefect keeps.

    Uses the server at PREFECT_API_URL, or a temporary one on this machine if that is not set.
    """
    from pipelines.prefect_settings import use_project_settings
    from pipelines.project import project_root

    root = project_root()
    use_project_settings(root)
    typer.echo("starting Prefect …")
    from pipelines.flows import run_flow

    state, summary = run_flow(root, tuple(domain or ()), force)
    typer.echo(f"\nFlow run: {state}\n\n{summary}")
    if "PREFECT_API_URL" not in os.environ:
        home = os.environ["PREFECT_HOME"]
        typer.echo(f"\nNext: look at it in a browser: PREFECT_HOME={home} prefect server start --host 127.0.0.1")
