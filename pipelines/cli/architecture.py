"""`naslora architecture`: the architecture that a training has found, as a table, and how to use it again."""

from typing import Annotated, Any

import typer

from pipelines.cli.output import Json, print_result


def architecture(
    domain: Annotated[str, typer.Argument(help="Which domain's last training.")],
    run: Annotated[str | None, typer.Option(help="Take it from runs/RUN.", show_default="the pipeline's own")] = None,
    as_json: Json = False,
) -> None:
    """Show the architecture that a domain's last training has found, and how to train it again without a search.

    After a search under a budget: every layer that has a branch, with its ranks, operation and estimated time. Of a
    mixture: the largest operation of every layer, with its share.
    """
    from naslora_core.adapted.searched_layers import read_found, read_genotype, read_layers
    from naslora_core.errors import PipelineError
    from naslora_core.reading import read_object
    from naslora_core.report import architecture as words
    from pipelines.run.inputs import project_root
    from stages.paths import StagePaths
    from stages.runner import require_domain

    paths = StagePaths(project_root(), run)
    require_domain(paths, domain)
    # A trial without a training of its own is a mistake here: nothing is shown of the pipeline's in its place.
    folder = paths.output("search_train", domain) if run else paths.source("search_train", domain)
    if not folder.is_dir():
        raise PipelineError(
            f"{folder} not found: run '{run}' has no training of '{domain}'; start "
            f"naslora stage search-train --domain {domain} --run {run}, or leave out --run for the pipeline's own"
        )
    path = folder / "genotype.json"
    genotype = read_genotype(path)
    found, layers = read_found(genotype), read_layers(genotype)
    about: dict[str, Any] = read_object(folder / "adapter.json") if (folder / "adapter.json").is_file() else {}
    shown = path.relative_to(paths.root)
    if found:
        typer.echo(words.format_table(words.found_table(found)))
        typer.echo(words.found_in_words(found, about.get("search", {})))
        typer.echo("Next: train it with another seed or on another domain, without a search\n")
        typer.echo(f"  cp {shown} architectures/{domain}.json")
        typer.echo(
            f"  naslora stage search-train --domain {domain} --run again --set search.budget=none "
            f"--set search.from=architectures/{domain}.json --set seed=1"
        )
    elif layers:
        typer.echo(words.format_table(words.mixture_table(layers)))
        typer.echo(words.architecture_in_words(layers, genotype["space"]))
        typer.echo(
            "Next: a mixture cannot be given to another training; search.budget finds what can, for one: naslora stage "
            f"search-train --domain {domain} --run found --set search.budget=1.02 --set search.space=choices"
        )
    else:
        typer.echo(f"Nothing was searched: the method {about.get('method', 'of this training')} has no architecture.")
        typer.echo("Next: set adapter.method: nas_lora in params.yaml, then naslora run")
    print_result({"file": path, **genotype})
