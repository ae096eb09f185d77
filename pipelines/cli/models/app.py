"""`naslora models`: registers the commands on model versions, each with its neighbours in a file."""

import typer

from pipelines.cli.models.files import pull, push
from pipelines.cli.models.service import promote, rollback, withdraw
from pipelines.cli.models.versions import list_, show

models_app = typer.Typer(
    help="List every model a domain has had, choose which one serves, share them; needs no training.",
    epilog="Start with: naslora models list",
    no_args_is_help=True,
)
_SEE, _CHOOSE, _SHARE = "Look at", "Choose", "Share"

models_app.command("list", rich_help_panel=_SEE, epilog="Example: naslora models list leaf_lesions")(list_)
models_app.command(rich_help_panel=_SEE, epilog="Example: naslora models show leaf_lesions 2")(show)
models_app.command(
    rich_help_panel=_CHOOSE, epilog='Example: naslora models promote leaf_lesions 4 --reason "checked by eye"'
)(promote)
models_app.command(rich_help_panel=_CHOOSE, epilog="Example: naslora models rollback leaf_lesions")(rollback)
models_app.command(
    rich_help_panel=_CHOOSE, epilog='Example: naslora models withdraw leaf_lesions --reason "its files are lost"'
)(withdraw)
models_app.command(rich_help_panel=_SHARE, epilog="Example: naslora models pull leaf_lesions --version 2")(pull)
models_app.command(rich_help_panel=_SHARE, epilog="Example: naslora models push")(push)
