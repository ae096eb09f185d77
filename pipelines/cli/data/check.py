"""`naslora data check`: run the gate without changing anything."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.output import Json, print_result

if TYPE_CHECKING:
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
    verdicts = {name: judge(paths, name) for name in names}
    rejected = [name for name, verdict in verdicts.items() if isinstance(verdict, DataError) or not verdict.passed]
    if as_json:
        print_result({name: _content(verdict) for name, verdict in verdicts.items()})
        raise typer.Exit(1 if rejected else 0)
    messages = {name: _message(name, verdict, limit) for name, verdict in verdicts.items()}
    for name in names:
        if name not in rejected:
            typer.echo(messages[name])
    if rejected:
        aside = f"naslora data quarantine {rejected[0]} --failing sets failing files aside, reversibly"
        raise DataError("\n".join([*(messages[name] for name in rejected), aside]))
    typer.echo(f"Next: naslora run{f' --domain {names[0]}' if len(names) == 1 else ''}")


def judge(paths: "StagePaths", domain: str) -> "Verdict | DataError":
    """Return the gate's verdict on a domain, or why there is nothing to judge."""
    from naslora_core.config import load_params
    from naslora_core.errors import DataError
    from naslora_core.quality.gate import check_dataset
    from naslora_core.sam.specs import find_spec
    from stages.runner import ConsoleProgress

    try:
        params = load_params(paths.params)
        input_px = find_spec(params.model.name, params.model.image_size).image_size
        measured, reference = paths.measured(domain), paths.served_measurements(domain)
        return check_dataset(
            paths.data(domain), params.quality, ConsoleProgress(), measured, reference, input_px=input_px
        )[0]
    except DataError as error:
        return error


def _content(verdict: "Verdict | DataError") -> object:
    return (
        {"passed": False, "error": str(verdict)} if isinstance(verdict, Exception) else verdict.model_dump(mode="json")
    )


def _message(name: str, verdict: "Verdict | DataError", limit: int) -> str:
    if isinstance(verdict, Exception):
        return str(verdict)
    return verdict.message(f"the output of naslora data check {name} --limit 0", limit)
