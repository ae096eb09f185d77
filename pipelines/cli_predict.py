"""`naslora predict`: masks for images, from a model in service or any merged one."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    domain: Annotated[str | None, typer.Option(help="Use the model in service for this domain.")] = None,
    model: Annotated[Path | None, typer.Option(help="Use the merged model in this folder instead.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Probability above which a pixel is foreground, if there is one class.",
            show_default="evaluate.threshold",
        ),
    ] = None,
) -> None:
    """Write a mask (PNG, 0 and 255, or class ids) and an overlay for every image, at the image's own size."""
    from naslora_core.config import load_params
    from pipelines.predict_files import find_images, predict_files, serving_folder
    from pipelines.project import project_root
    from stages.runner import ConsoleProgress

    root = project_root()
    params = load_params(root / "params.yaml")
    folder = serving_folder(root, domain, model)
    files = find_images(images)
    from naslora_core.predict import Predictor

    predictor = Predictor.merged(folder, params.model.precision)
    least = params.evaluate.threshold if threshold is None else threshold
    masks = predict_files(predictor, files, out, least, ConsoleProgress())
    typer.echo(f"{len(masks)} mask{'' if len(masks) == 1 else 's'} in {out}")
    typer.echo(f"Next: look at {masks[0].with_name(files[0].stem + '_overlay.png')}")
