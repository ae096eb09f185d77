"""The options of `naslora data import`, as its help shows them."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from naslora_core.errors import ConfigError


class OutlineKind(str, Enum):
    """Choices of --outline."""

    CENTRES = "centres"
    EDGES = "edges"


class VoidKind(str, Enum):
    """Choices of --void."""

    IGNORE = "ignore"
    BACKGROUND = "background"


Layout = Annotated[str, typer.Argument(help="How the data is laid out: see below, or auto.")]
Source = Annotated[
    str | None,
    typer.Argument(help="Folder or archive (zip, tar, tar.gz); with --images and --masks, the name of the domain."),
]
Name = Annotated[str | None, typer.Option(help="Name of the domain.", show_default="that of the layout or folder")]
Images = Annotated[Path | None, typer.Option(help="Folder of the images (layout folder).")]
Masks = Annotated[Path | None, typer.Option(help="Folder of the masks (layout folder).")]
Pairs = Annotated[
    Path | None, typer.Option(help="CSV file with the columns image,mask and maybe split,group (layout folder).")
]
Classes = Annotated[
    list[str] | None,
    typer.Option("--class", help="What masks mark: weed; several with their values or colours: crop=1 weed=2."),
]
Threshold = Annotated[
    int | None, typer.Option(min=1, max=255, help="Least mask value that is foreground.", show_default="found out")
]
Reading = Annotated[
    str | None,
    typer.Option(
        metavar="grey|values|colours|instances|alpha",
        help="What mask files hold: grey to cut, values or colours of classes, numbers of objects, or alpha.",
        show_default="found out",
    ),
]
Ignore = Annotated[
    list[str] | None, typer.Option(help="Mask values or colours that nobody labelled: 255, or several: 254,255.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show how the masks are read or painted, and import nothing.")]
Tile = Annotated[
    int | None, typer.Option(min=64, help="Cut large images into squares of so many pixels (layout roads).")
]
Outlines = Annotated[
    OutlineKind | None,
    typer.Option(
        help="Corners of outlines are pixels (centres), or lie between pixels (edges); layouts coco, "
        "yolo, cvat, datumaro and label_studio.",
        show_default="yolo: centres, coco: as its areas say, others: edges",
    ),
]
Void = Annotated[
    VoidKind | None,
    typer.Option(
        help="Pixels of no segment are left out (ignore), or show no object (background); layout coco_panoptic.",
        show_default="ignore, if they are few",
    ),
]
Bands = Annotated[
    str | None,
    typer.Option(help="Which bands are shown: 4,3,2 as red, green and blue, or one in grey.", show_default="found out"),
]
Range = Annotated[
    str | None,
    typer.Option(
        "--range",
        help="Which values of images of more than 8 bits are black and white: auto, LOW:HIGH, or 0.1%:99.9% of each.",
        show_default="proposed",
    ),
]
_KEPT = "as before, or {}"
Validation = Annotated[
    float | None,
    typer.Option(min=0.01, max=0.9, help="Share for validation.", show_default=_KEPT.format(0.15)),
]
Test = Annotated[
    float | None, typer.Option(min=0.01, max=0.9, help="Share for testing.", show_default=_KEPT.format(0.15))
]
Seed = Annotated[int | None, typer.Option(min=0, help="Draws the split.", show_default=_KEPT.format(7))]
PairsOnly = Annotated[bool, typer.Option("--pairs-only", help="Leave out files without a partner.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave odd lines and files out, and list them.")]
Bare = Annotated[bool, typer.Option("--no-mask-is-empty", help="An image without a mask shows no object.")]
Add = Annotated[bool, typer.Option("--add", help="Add to a domain that exists, such as another export of one project.")]
Enable = Annotated[bool, typer.Option(help="Add the domain to params.yaml.")]
Output = Annotated[Path | None, typer.Option(help="Folder for the domains.", show_default="data/ of the project")]
Replace = Annotated[bool, typer.Option("--replace", help="Take the place of a domain that exists already.")]


def band_numbers(given: str | None) -> tuple[int, ...]:
    """Read the option --bands; none where it is not given.

    Raises:
        ConfigError: if it is no list of whole numbers.
    """
    try:
        return tuple(int(number) for number in given.split(",")) if given else ()
    except ValueError as error:
        raise ConfigError(f"--bands is '{(given or '')[:40]}'; give numbers from 1 on, as 4,3,2") from error
