"""`naslora predict`: masks for images, from a model in service or any merged one."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, print_result


class Device(str, Enum):
    """The device to compute on."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(str, Enum):
    """The precision to compute in."""

    auto = "auto"
    float32 = "float32"
    bf16 = "bf16"


class Flips(str, Enum):
    """Whose predictions are averaged with those of the image as it is."""

    none = "none"
    horizontal = "horizontal"
    all = "all"


class MaskPalette(str, Enum):
    """Whether masks of several classes show these in colours."""

    classes = "classes"
    none = "none"


class Numbers(str, Enum):
    """How a probability file holds its numbers: 0..1, 0..65535 or 0..255."""

    float32 = "float32"
    uint16 = "uint16"
    uint8 = "uint8"


class Shapes(str, Enum):
    """Formats in which masks are written as shapes."""

    geojson = "geojson"
    coco = "coco"


Threshold = typer.Option(
    min=0, max=1, help="Probability above which a pixel is foreground, if there is one class.",
    show_default="evaluate.threshold",
)  # fmt: skip
_FLIPS = typer.Option(
    help="Average the predictions of the image and its flips, which takes 1, 2 or 4 times as long.",
    show_default="evaluate.flips",
)
# As params.yaml calls them.
_SETTINGS = {Precision.auto: "auto", Precision.float32: "fp32", Precision.bf16: "bf16"}
_TILE = typer.Option(
    help="Cut large images: auto, off, or the side of a tile in pixels. A model that was trained on crops sees every "
    "image in tiles of its own size; it takes a smaller side, and not off."
)  # fmt: skip
_OVERLAP = typer.Option(
    min=0, max=0.5, help="Share of a tile that the next one covers.", show_default="0.25, of crops evaluate.overlap"
)
_PRECISION = typer.Option(
    help="The precision to compute in. auto is bf16 where the processor computes in it: faster, and some pixels on "
    "the edges of masks differ. float32 gives what exported models give.",
    show_default="model.precision",
)  # fmt: skip


def predict(
    images: Annotated[list[str], typer.Argument(help="Image files, folders of them, or quoted patterns.")],
    out: Annotated[Path, typer.Option(help="Folder for what is written.")],
    domain: Annotated[str | None, typer.Option(help="Use the model in service for this domain.")] = None,
    model: Annotated[Path | None, typer.Option(help="Use the merged model in this folder instead.")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into the folders of folders too.")] = False,
    threshold: Annotated[float | None, Threshold] = None,
    tile: Annotated[str, _TILE] = "auto",
    overlap: Annotated[float | None, _OVERLAP] = None,
    batch: Annotated[int, typer.Option(min=1, help="How many tiles or images are predicted at once.")] = 4,
    device: Annotated[Device, typer.Option(help="The device to compute on.")] = Device.auto,
    precision: Annotated[Precision | None, _PRECISION] = None,
    flips: Annotated[Flips | None, _FLIPS] = None,
    overlay: Annotated[bool, typer.Option(help="Write the image with the mask on it.")] = True,
    mask_palette: Annotated[
        MaskPalette,
        typer.Option(help="Several classes as ids with colours, or as plain grey ids, as OpenCV needs them."),
    ] = MaskPalette.classes,
    probability: Annotated[Numbers | None, typer.Option(help="Write the probabilities, as a TIFF.")] = None,
    polygons: Annotated[Shapes | None, typer.Option(help="Write the masks as shapes too.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote.")] = False,
    as_json: Json = False,
) -> None:
    """Write a mask (PNG, 0 and 255, or class ids) and more for every image, at the image's own size.

    Large images are cut into overlapping tiles if they are far larger than those of the training, and always for a
    model that was trained on crops. GeoTIFFs give GeoTIFFs. Exit code 1 if an image cannot be read; the others are
    predicted all the same.
    """
    from pipelines.predict.run import PredictRequest, run
    from pipelines.run.inputs import project_root
    from stages.console import ConsoleProgress

    request = PredictRequest(
        images=images, out=out, domain=domain, model=model, recursive=recursive, threshold=threshold, tile=tile,
        overlap=overlap, batch_size=batch, device=device.value,
        precision=_SETTINGS[precision] if precision else None, mask_palette=mask_palette.value, overlay=overlay,
        probability=probability.value if probability else None, polygons=polygons.value if polygons else None,
        resume=resume, force=force, flips=flips.value if flips else None,
    )  # fmt: skip
    outcome = run(request, project_root(), ConsoleProgress())
    typer.echo("\n".join(outcome.lines()))
    print_result(outcome.summary())
    if outcome.failed:
        raise typer.Exit(1)
