"""`naslora pretrain`: pre-train a base model on procedural scenes, or evaluate one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, print_result


def pretrain(
    output: Annotated[Path, typer.Option(help="Where the weights go.")] = Path("models/sam_tiny_new.safetensors"),
    steps: Annotated[int, typer.Option(min=1, help="Updates of the weights.")] = 3000,
    decay_steps: Annotated[int, typer.Option(min=1, help="Last updates, in which the learning rate falls.")] = 900,
    small_steps: Annotated[int, typer.Option(min=0, help="First updates, on scenes of half the side.")] = 600,
    batch_size: Annotated[int, typer.Option(min=1, help="Scenes in an update.")] = 16,
    prompts: Annotated[int, typer.Option(min=2, help="Prompts a scene, half points, half boxes.")] = 8,
    lr: Annotated[float, typer.Option(min=0, help="Highest learning rate.")] = 0.001,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and scenes.")] = 1,
    evaluate: Annotated[
        Path | None, typer.Option(help="Train nothing; measure these weights on held-out scenes.")
    ] = None,
    model: Annotated[str, typer.Option(help="With --evaluate: whose weights they are.")] = "sam_tiny",
    domain: Annotated[
        str | None, typer.Option(help="With --evaluate: measure on the test images of this domain instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Pre-train sam_tiny on scenes drawn by this program, with point and box prompts.

    An interrupted run goes on where it stopped when the command is repeated; --steps and --decay-steps may
    then be others. Hours on a CPU; the weights that ship with the project were made by it.
    """
    from naslora_core.errors import ConfigError
    from stages.runner import ConsoleProgress

    if evaluate is not None:
        measured = _evaluate(evaluate, model, domain)
        _print_measured(measured, domain)
        typer.echo("Next: to adapt it, set model.checkpoint in params.yaml to this file, then naslora run")
        print_result({"weights": evaluate, "domain": domain, "iou": measured})
        return
    if domain is not None:
        raise ConfigError("--domain names images to measure on and needs --evaluate FILE; training uses drawn scenes")
    if output.exists():
        raise ConfigError(f"{output} exists; choose another --output or remove it first")
    from pydantic import ValidationError

    from naslora_core.pretraining.config import PretrainConfig
    from naslora_core.pretraining.loop import pretrain as run

    try:
        config = PretrainConfig(
            steps=steps,
            decay_steps=decay_steps,
            small_steps=small_steps,
            batch_size=batch_size,
            prompts_per_scene=prompts,
            lr=lr,
            seed=seed,
        )
    except ValidationError as error:
        detail = error.errors()[0]
        raise ConfigError(f"{detail['loc'][0]} is {detail['input']}: {detail['msg']}") from error
    measured = run(config, output, progress=ConsoleProgress())
    _print_measured(measured, domain)
    picture = _draw(output)
    typer.echo(f"Weights: {output}, learning curve: {output}.csv and {picture}")
    typer.echo(f"Next: set model.checkpoint to {output} in params.yaml, then naslora run")
    print_result({"weights": output, "curve": f"{output}.csv", "picture": picture, "iou": measured})


def _draw(output: Path) -> Path:
    import pandas as pd

    from naslora_core.report.figures.pretraining import draw_pretraining
    from naslora_core.report.figures.style import chart_style, write_png

    picture = output.with_name(output.name + ".png")
    with chart_style():
        write_png(draw_pretraining(pd.read_csv(f"{output}.csv")), picture)
    return picture


def _evaluate(weights: Path, model: str, domain: str | None) -> Mapping[str, float]:
    from naslora_core.config import ModelConfig
    from naslora_core.errors import ConfigError
    from naslora_core.sam.checkpoint import load_base
    from naslora_core.sam.specs import MODEL_SPECS
    from stages.runner import ConsoleProgress

    if model not in MODEL_SPECS:
        raise ConfigError(f"--model is '{model}'; known are {', '.join(MODEL_SPECS)}")
    sam = load_base(
        ModelConfig.model_validate(dict(name=model, checkpoint=weights, image_size="native", precision="auto"))
    )
    if domain is None:
        from naslora_core.pretraining.evaluate import evaluate_prompts

        return evaluate_prompts(sam, progress=ConsoleProgress())
    from naslora_core.data.dataset.dataset import read_dataset
    from naslora_core.pretraining.zero_shot import evaluate_domain
    from pipelines.run.inputs import project_root
    from stages.paths import StagePaths

    return evaluate_domain(sam, read_dataset(StagePaths(project_root()).data(domain)), progress=ConsoleProgress())


def _print_measured(measured: Mapping[str, float], domain: str | None) -> None:
    where = "held-out scenes" if domain is None else f"the test images of {domain}, one prompt an image"
    typer.echo(f"Mean IoU on {where}:")
    typer.echo("  prompt   single    best  oracle")
    for kind in ("point", "box"):
        typer.echo(
            f"  {kind:<6}" + "".join(f"{measured[f'{kind}_{how}']:8.3f}" for how in ("single", "best", "oracle"))
        )
