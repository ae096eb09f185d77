"""`naslora heatmap`: Grad-CAM of several trained models on the same test images, side by side."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

PIPELINE = "pipeline"


def heatmap(
    domain: Annotated[str, typer.Option(help="Whose test images to draw.")],
    runs: Annotated[
        list[str] | None,
        typer.Option("--run", help=f"Name of a trial, or '{PIPELINE}'; may be repeated.", show_default=PIPELINE),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="How many test images, evenly spread over their names.")] = 6,
    out: Annotated[Path | None, typer.Option(help="PNG to write.", show_default="heatmap_DOMAIN.png")] = None,
) -> None:
    """Draw Grad-CAM of the base and of several trained models on the same test images, on one scale per image."""
    from naslora_core.adapted.saved import describe_base, load_adapted, read_adapter_config, require_base
    from naslora_core.config import load_params
    from naslora_core.data.dataset.dataset import read_dataset
    from naslora_core.data.prepared.prepared import evenly_spaced
    from naslora_core.pictures.gradcam import explain_models
    from naslora_core.pictures.heat import write_heat_sheet
    from naslora_core.sam.checkpoint import load_base
    from naslora_core.sam.segmenter import PromptFreeSegmenter
    from pipelines.run.inputs import project_root
    from stages.paths import StagePaths
    from stages.runner import ConsoleProgress, require_domain

    paths = StagePaths(project_root())
    params = load_params(paths.params)
    require_domain(paths, domain)
    loaders = {"base": lambda: PromptFreeSegmenter(load_base(params.model))}
    for run in runs or [PIPELINE]:
        folder = StagePaths(paths.root, None if run == PIPELINE else run).output("search_train", domain)
        require_base(folder, config := read_adapter_config(folder), describe_base(params.model))
        title = f"{run}: {config.method}"
        loaders[title] = partial(lambda folder: load_adapted(folder, params.model)[0], folder)
    dataset = read_dataset(paths.data(domain))
    pairs = evenly_spaced(dataset.of_split("test"), images)
    heats = explain_models(loaders, pairs, dataset.card, ConsoleProgress())
    target = out or Path(f"heatmap_{domain}.png")
    for model, share in write_heat_sheet(target, pairs, dataset.card, heats).items():
        typer.echo(f"{100 * share:5.1f} % of the heat lies on the true foreground: {model}")
    typer.echo(f"Wrote {target}")
    typer.echo(f"Next: look at it, and compare scores with naslora stage evaluate --domain {domain} --run RUN")
