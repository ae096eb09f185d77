"""`naslora data check`: run the gate without changing anything."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.output import Json, print_result

if TYPE_CHECKING:
    from naslora_core.data.dataset.view import SuggestedView
    from naslora_core.errors import DataError
    from naslora_core.quality.verdict import Verdict
    from stages.paths import StagePaths


def check(
    domains: Annotated[list[str] | None, typer.Argument(help="Which domains.", show_default="all")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many files each problem names; 0 is all.")] = 10,
    as_json: Json = False,
) -> None:
    """Judge the data as naslora run would, without changing anything; exit code 1 if it is rejected."""
    from naslora_core.errors import DataError
    from pipelines.cli.data.domains import data_folder
    from stages.paths import StagePaths
    from stages.runner import require_domain

    paths = StagePaths(data_folder().parent)
    if not (names := list(domains or paths.domains())):
        raise DataError(f"{paths.root / 'data'} holds no domain; start with naslora data sample or naslora data import")
    for name in names:
        require_domain(paths, name)
    judged = {name: _judge(paths, name) for name in names}
    verdicts = {name: one if isinstance(one, DataError) else one[0] for name, one in judged.items()}
    rejected = [name for name, verdict in verdicts.items() if isinstance(verdict, DataError) or not verdict.passed]
    if as_json:
        print_result({name: _content(one) for name, one in judged.items()})
        raise typer.Exit(1 if rejected else 0)
    messages = {name: _message(name, one, limit) for name, one in judged.items()}
    for name in names:
        if name not in rejected:
            typer.echo(messages[name])
    if rejected:
        aside = f"naslora data quarantine {rejected[0]} --failing sets failing files aside, reversibly"
        raise DataError("\n".join([*(messages[name] for name in rejected), aside]))
    typer.echo(f"Next: naslora run{f' --domain {names[0]}' if len(names) == 1 else ''}")


def judge(paths: "StagePaths", domain: str) -> "Verdict | DataError":
    """Return the gate's verdict on a domain, or why there is nothing to judge."""
    judged = _judge(paths, domain)
    return judged[0] if isinstance(judged, tuple) else judged


def _judge(paths: "StagePaths", domain: str) -> "tuple[Verdict, SuggestedView] | DataError":
    from naslora_core.config import load_params
    from naslora_core.data.dataset.dataset import read_dataset
    from naslora_core.errors import DataError
    from naslora_core.quality.gate import check_dataset
    from naslora_core.quality.scale.view import suggest_view
    from naslora_core.sam.specs import find_spec
    from stages.console import ConsoleProgress

    try:
        params, root = load_params(paths.params), paths.data(domain)
        input_px = find_spec(params.model.name, params.model.image_size).image_size
        measured, reference = paths.measured(domain), paths.served_measurements(domain)
        verdict, table = check_dataset(
            root, params.quality, ConsoleProgress(), measured, reference, None, input_px, paths.digests(domain)
        )
        return verdict, suggest_view(table, read_dataset(root).card, input_px)
    except DataError as error:
        return error


def _content(judged: "tuple[Verdict, SuggestedView] | DataError") -> object:
    if isinstance(judged, Exception):
        return {"passed": False, "error": str(judged)}
    verdict, view = judged
    suggested = view.model_dump(mode="json", exclude={"format"})
    return verdict.model_dump(mode="json") | {"suggested_view": suggested}


def _message(name: str, judged: "tuple[Verdict, SuggestedView] | DataError", limit: int) -> str:
    if isinstance(judged, Exception):
        return str(judged)
    verdict, view = judged
    said = verdict.message(f"the output of naslora data check {name} --limit 0", limit)
    return f"{said}\n  suggested view: {view.reason}"
