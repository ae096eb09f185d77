"""`naslora data pack` and `unpack`: store a domain as few tar shards, and back."""

from typing import Annotated

import typer


def pack(domain: Annotated[str, typer.Argument(help="Which domain.")]) -> None:
    """Store a domain as tar shards, which DVC versions quickly; its files stay readable in an unpacked copy.

    Worth it from some ten thousand images on. To change files, unpack with --in-place, and pack again.
    """
    from naslora_core.data.curation.pack import pack as write_shards
    from pipelines.cli.data.domains import find_domain
    from stages.runner import ConsoleProgress

    root = find_domain(domain)
    count = write_shards(root, ConsoleProgress())
    typer.echo(f"{root / 'shards'}: {count} shards; an unpacked copy lies in {root.parent / '.unpacked' / domain}")
    typer.echo("Next: dvc add data, git add data.dvc, git commit, dvc push data.dvc")


def unpack(
    domain: Annotated[str, typer.Argument(help="Which domain.")],
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Bring images/ and masks/ back for good, and remove the shards.")
    ] = False,
) -> None:
    """Unpack a packed domain, so that it can be read; naslora run does so by itself."""
    from naslora_core.data.curation.pack import unpack as write_copy
    from naslora_core.data.curation.pack import unpack_in_place
    from pipelines.cli.data.domains import find_domain
    from stages.runner import ConsoleProgress

    root = find_domain(domain)
    if in_place:
        unpack_in_place(root, ConsoleProgress())
        typer.echo(f"{root}: images/ and masks/ are back, the shards are gone")
    else:
        typer.echo(f"Unpacked copy: {write_copy(root, ConsoleProgress())}")
    typer.echo(f"Next: naslora data check {domain}")
