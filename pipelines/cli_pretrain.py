"""`naslora pretrain`: make a base model from procedural scenes, or measure one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    output: Annotated[Path, typer.Option(help="Where the weights go.")] = Path("models/sam_tiny_new.safetensors"),
    steps: Annotated[int, typer.Option(min=1, help="Updates of the weights.")] = 3000,
    batch_size: Annotated[int, typer.Option(min=1, help="Scenes in an update.")] = 16,
    prompts: Annotated[int, typer.Option(min=2, help="Prompts a scene, half points, half boxes.")] = 8,
    lr: Annotated[float, typer.Option(min=0, help="Highest learning rate.")] = 0.001,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and scenes.")] = 1,
    evaluate: Annotated[
        Path | None, typer.Option(help="Train nothing; measure these sam_tiny weights on held-out scenes.")
    ] = None,
) -> None:
    """Pre-train sam_tiny on scenes drawn by this program, with point and box prompts.

    An interrupted run goes on where it stopped when the command is repeated. Hours on a CPU; the weights
    that ship with the project were made by it.
    """
    from naslora_core.errors import ConfigError
    from stages.runner import ConsoleProgress

    if evaluate is not None:
        _print_measured(_evaluate(evaluate))
        return
    if output.exists():
        raise ConfigError(f"{output} exists; choose another --output or remove it first")
    from pydantic import ValidationError

    from naslora_core.pretraining.config import PretrainConfig
    from naslora_core.pretraining.loop import pretrain as run

    try:
        config = PretrainConfig(steps=steps, batch_size=batch_size, prompts_per_scene=prompts, lr=lr, seed=seed)
    except ValidationError as error:
        detail = error.errors()[0]
        raise ConfigError(f"{detail['loc'][0]} is {detail['input']}: {detail['msg']}") from error
    _print_measured(run(config, output, progress=ConsoleProgress()))
    typer.echo(f"Weights: {output}, learning curve: {output}.csv")
    typer.echo(f"Next: set model.checkpoint to {output} in params.yaml, then naslora run")


def _evaluate(weights: Path) -> Mapping[str, float]:
    from naslora_core.config import ModelConfig
    from naslora_core.pretraining.evaluate import evaluate_prompts
    from naslora_core.sam.checkpoint import load_base
    from stages.runner import ConsoleProgress

    sam = load_base(ModelConfig(name="sam_tiny", checkpoint=weights, image_size="native", precision="auto"))
    return evaluate_prompts(sam, progress=ConsoleProgress())


def _print_measured(measured: Mapping[str, float]) -> None:
    typer.echo("Mean IoU on held-out scenes:")
    typer.echo("  prompt   single    best  oracle")
    for kind in ("point", "box"):
        typer.echo(
            f"  {kind:<6}" + "".join(f"{measured[f'{kind}_{how}']:8.3f}" for how in ("single", "best", "oracle"))
        )
