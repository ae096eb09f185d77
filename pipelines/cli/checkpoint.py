"""`naslora checkpoint`: what a weight file is, and the settings that use it."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, print_result


def checkpoint(
    path: Annotated[Path, typer.Argument(help="A weight file, or a folder of Hugging Face.")],
    as_json: Json = False,
) -> None:
    """Show which model a checkpoint holds, what of it is used and what is not, and how to train on it.

    Reads .safetensors, and .pth, .pt, .bin and .ckpt that hold tensors alone; nothing else is unpickled.
    """
    from naslora_core.sam.checkpoint import checkpoint_sha256
    from naslora_core.sam.layouts.recognise import recognise

    found = recognise(path)
    digest = checkpoint_sha256(path)
    rows = [*found.as_rows(), ("SHA-256", digest)]
    width = max(len(name) for name, _ in rows)
    typer.echo("".join(f"{name:<{width}}  {value}\n" for name, value in rows))
    if found.size:
        typer.echo(f"Next: set this in params.yaml, then naslora run\n\n  model:\n    name: {found.size}")
        typer.echo(f"    checkpoint: {path}\n")
        typer.echo(f"or, for a trial: --set model.name={found.size} --set model.checkpoint={path}")
    else:
        typer.echo(f"Next: nothing here can train on it: no model.name has {found.seen}; docs/models.md lists them")
    table = {
        "path": path,
        "sha256": digest,
        "family": found.family,
        "name": found.size,
        "seen": found.seen,
        "layout": found.layout,
        "tensors": found.keys,
        "precision": found.precision,
        "taken_off": found.taken_off,
        "left_out": found.left_out,
        "fresh": found.fresh,
    }
    print_result(table)
