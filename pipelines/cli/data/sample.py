"""`naslora data sample`: generate sample domains to try the pipeline on."""

from pathlib import Path
from typing import Annotated

import typer


def sample(
    domain: Annotated[
        list[str] | None, typer.Option(help="Which sample; may be given several times.", show_default="all")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many images each.")] = 80,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other images.")] = 7,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the domains.", show_default="data/ of the project")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a domain that exists already.")] = False,
) -> None:
    """Draw sample domains: leaf lesions, polyps, surface cracks, with the troubles of real images."""
    from naslora_core.data.synthetic.domains import SAMPLE_DOMAINS
    from naslora_core.data.synthetic.generate import generate_domain
    from naslora_core.errors import DataError
    from pipelines.cli.data.domains import counts, data_folder
    from stages.runner import ConsoleProgress

    folder = output or data_folder()
    names = domain or list(SAMPLE_DOMAINS)
    for name in names:
        if SAMPLE_DOMAINS[name] and (folder / name).exists() and not replace:
            raise DataError(f"{folder / name} exists already; give --replace to draw it anew, or another --output")
    for name in names:
        dataset = generate_domain(name, folder / name, count, seed, replace, ConsoleProgress())
        typer.echo(f"{dataset.root}: {counts(dataset)}")
    typer.echo(f"Next: naslora data check {' '.join(names)}")
