"""The `naslora` command. Imports nothing heavy: each command loads what it needs when it runs."""

import sys
from typing import Annotated

import typer

from naslora_core.errors import NasLoraError
from naslora_core.telemetry import turn_telemetry_off
from pipelines.cli.architecture import architecture
from pipelines.cli.bench import bench
from pipelines.cli.checkpoint import checkpoint
from pipelines.cli.data.app import data_app
from pipelines.cli.doctor import doctor
from pipelines.cli.export import export_app
from pipelines.cli.flows import flows_app
from pipelines.cli.heatmap import heatmap
from pipelines.cli.models.app import models_app
from pipelines.cli.output import print_error
from pipelines.cli.predict import predict
from pipelines.cli.pretrain import pretrain
from pipelines.cli.results import results_app
from pipelines.cli.run import run
from pipelines.cli.serve import serve
from pipelines.cli.stage import stage
from stages.console import end_bars

app = typer.Typer(
    name="naslora",
    help="Adapt Segment Anything to your own images with NAS-LoRA.",
    epilog="Start with: naslora doctor",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_app, name="data")
app.command(epilog="Example: naslora run --domain leaf_lesions")(run)
app.command(epilog="Example: naslora checkpoint models/sam_tiny.safetensors")(checkpoint)
app.command(epilog="Example: naslora stage search-train --domain leaf_lesions --run lr3 --set train.lr=0.003")(stage)
app.command(epilog="Example: naslora predict photos/*.jpg --domain leaf_lesions --out masks")(predict)
app.command(epilog="Example: naslora serve --port 8080")(serve)
app.command(epilog="Example: naslora heatmap --domain leaf_lesions --run lora --run nas")(heatmap)
app.command(epilog="Example: naslora architecture leaf_lesions --run found")(architecture)
app.add_typer(models_app, name="models")
app.add_typer(results_app, name="results")
app.add_typer(export_app, name="export")
app.command(epilog="Example: naslora pretrain --evaluate models/sam_tiny.safetensors")(pretrain)
app.command(epilog="Example: naslora bench --domain kvasir --row conv_lora --seed 7")(bench)
app.add_typer(flows_app, name="flows")
app.command(epilog="Example: naslora doctor")(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        # It reads mail headers, for which it imports more than the rest of this file.
        from importlib.metadata import version

        typer.echo(f"naslora {version('naslora')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    turn_telemetry_off()


def main() -> None:
    """Run the command; an error becomes one message and exit code 1."""
    try:
        app()
    except (NasLoraError, OSError) as error:
        # A full disk or a forbidden file has a number and explains itself; anything else is a fault to trace.
        if isinstance(error, OSError) and error.errno is None:
            raise
        end_bars()
        print_error(error)
        sys.exit(1)
