"""`naslora data`: registers the commands on images and masks, each in a file of its own."""

import typer

from pipelines.cli.data.check import check
from pipelines.cli.data.import_ import ImportCommand, import_
from pipelines.cli.data.pack import pack, unpack
from pipelines.cli.data.quarantine import quarantine, restore
from pipelines.cli.data.sample import sample
from pipelines.cli.data.show import list_, show
from pipelines.cli.data.split import split
from pipelines.cli.data.versions import diff, log

data_app = typer.Typer(
    help="Bring in images, look at them, judge them, divide them, set bad ones aside, compare versions.",
    epilog="Start with: naslora data list",
    no_args_is_help=True,
)
_ADD, _SEE, _CHANGE, _VERSIONS = "Bring in", "Look at", "Change", "Versions"

data_app.command(
    rich_help_panel=_ADD, epilog="Example: naslora data sample --domain leaf_lesions --count 200 --replace"
)(sample)
data_app.command(
    "import",
    cls=ImportCommand,
    rich_help_panel=_ADD,
    epilog="Example: naslora data import folder ~/weeds --name weeds --class weed",
)(import_)
data_app.command("list", rich_help_panel=_SEE, epilog="Example: naslora data list")(list_)
data_app.command(rich_help_panel=_SEE, epilog="Example: naslora data show leaf_lesions --count 40")(show)
data_app.command(rich_help_panel=_SEE, epilog="Example: naslora data check leaf_lesions --limit 0")(check)
data_app.command(
    rich_help_panel=_CHANGE, epilog="Example: naslora data quarantine leaf_lesions images/blurred.jpg --reason blurred"
)(quarantine)
data_app.command(rich_help_panel=_CHANGE, epilog="Example: naslora data restore leaf_lesions --all")(restore)
data_app.command(
    rich_help_panel=_CHANGE, epilog="Example: naslora data split leaf_lesions --seed 3 --test 0.2 --stratify"
)(split)
data_app.command(rich_help_panel=_VERSIONS, epilog="Example: naslora data diff leaf_lesions HEAD~1 HEAD")(diff)
data_app.command(rich_help_panel=_VERSIONS, epilog="Example: naslora data log leaf_lesions")(log)
data_app.command(rich_help_panel=_VERSIONS, epilog="Example: naslora data pack leaf_lesions")(pack)
data_app.command(rich_help_panel=_VERSIONS, epilog="Example: naslora data unpack leaf_lesions --in-place")(unpack)
