"""`naslora bench`: methods side by side."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.output import Json, print_result

if TYPE_CHECKING:
    from naslora_core.bench.table import Table, Training
    from pipelines.bench.jobs import Job


ROUNDS = 5
FOLDERS = {"table": "bench", "ablation": "ablations", "preset": "paper"}
Many = list[str] | None
TableName = Annotated[str, typer.Option(help="A table of configs/bench.")]
Ablation = Annotated[str | None, typer.Option(help="Instead: a set of configs/ablations, such as rank.")]
Preset = Annotated[str | None, typer.Option(help="Instead: one of configs/paper; 'all' says what each lacks.")]
Domains = Annotated[Many, typer.Option(help="Only this domain; repeatable.", show_default="the table's")]
Seeds = Annotated[list[int] | None, typer.Option(help="Only this seed; repeatable.", show_default="the table's")]
Rows = Annotated[Many, typer.Option(help="Only this row, and the reference; repeatable.", show_default="all")]
Only = Annotated[Many, typer.Option(help="Run one training anew: DOMAIN:ROW:seed=SEED; repeatable.")]
Model = Annotated[str | None, typer.Option(help="Of a preset: vit_b, vit_l or vit_h.", show_default="the first")]
Settings = Annotated[Many, typer.Option("--set", help="Replace a parameter in all rows: key=value; repeatable.")]
Jobs = Annotated[int, typer.Option(min=1, help="Trainings at the same time.")]
Rounds = Annotated[int, typer.Option(min=0, help="Turns in which a step's cost is measured; 0 skips it.")]
Plan = Annotated[bool, typer.Option("--plan", help="Say what would be run, and run nothing.")]


def bench(
    table: TableName = "methods",
    ablation: Ablation = None,
    preset: Preset = None,
    domain: Domains = None,
    seed: Seeds = None,
    row: Rows = None,
    only: Only = None,
    model: Model = None,
    settings: Settings = None,
    jobs: Jobs = 1,
    rounds: Rounds = ROUNDS,
    plan_only: Plan = False,
    as_json: Json = False,
) -> None:
    """Compare methods on domains and seeds: scores with intervals, differences to LoRA, and costs.

    A training that is finished is not run again, one that was stopped goes on. Results are in artifacts/bench.
    """
    from naslora_core.bench.table import load_table
    from pipelines.bench.jobs import plan
    from pipelines.run.inputs import project_root

    root = project_root()
    if preset == "all":
        _show_presets(root)
        return
    option, name = ("ablation", ablation) if ablation else ("preset", preset) if preset else ("table", table)
    given: dict[str, Sequence[object] | None] = {
        option: [name], "model": [model], "domain": domain, "seed": seed, "row": row, "set": settings
    }  # fmt: skip
    chosen = _narrow(load_table(root / "configs" / FOLDERS[option] / f"{name}.yaml"), domain, seed, row)
    extra = [*_model_settings(chosen, model), *(settings or ())]
    if preset:
        _require(root, chosen, extra)
    planned = plan(root, chosen, extra)
    if plan_only:
        _show_plan(planned)
        return
    failed = _run(chosen, planned, only, jobs)
    _report(root, str(name), chosen, planned, extra, rounds, failed, _command(given, rounds))


def _show_plan(planned: Sequence["Job"]) -> None:
    rows = [
        {"cell": str(job.training), "finished": job.done_file.is_file(), "folder": job.done_file.parent}
        for job in planned
    ]
    for row in rows:
        typer.echo(f"{'finished' if row['finished'] else 'to run  '}  {row['cell']}  {row['folder']}")
    typer.echo("Next: the same without --plan runs what is to run")
    print_result(rows)


def _run(table: "Table", planned: Sequence["Job"], only: Many, workers: int) -> list["Training"]:
    """Run the unfinished trainings, or those of `only` in any case; return those that failed."""
    from naslora_core.bench.table import trainings_of
    from pipelines.bench.jobs import run_jobs
    from stages.runner import ConsoleProgress

    wanted = trainings_of(table, only or ())
    selected = [job for job in planned if job.training in wanted]
    if only:
        for job in selected:
            job.done_file.unlink(missing_ok=True)
    return run_jobs(selected, workers, typer.echo, ConsoleProgress())


def _report(
    root: Path,
    name: str,
    table: "Table",
    planned: Sequence["Job"],
    extra: Sequence[str],
    rounds: int,
    failed: Sequence["Training"],
    command: Sequence[str],
) -> None:
    from naslora_core.errors import PipelineError
    from pipelines.bench.report import write_bench
    from stages.runner import ConsoleProgress

    output = root / "artifacts" / "bench" / name
    if finished := [job for job in planned if job.done_file.is_file()]:
        typer.echo(write_bench(output, root, table, finished, extra, rounds, ConsoleProgress(), command))
        typer.echo(f"Results: {output}")
    if failed:
        raise PipelineError(f"{len(failed)} trainings failed: {', '.join(map(str, failed))}; see above, then run again")
    typer.echo(f"Next: open {output / 'index.html'}, or run one training anew with --only {finished[0].training}")
    print_result({"output": output, "table": json.loads((output / "table.json").read_text(encoding="utf-8"))})


def _command(given: Mapping[str, Sequence[object] | None], rounds: int) -> list[str]:
    """Return the command that reproduces the table, without --only and --jobs, which do not change it."""
    values = {name: [value for value in values or () if value is not None] for name, values in given.items()}
    options = [f"--{name}={value}" for name, own in values.items() for value in own]
    return ["naslora", "bench", *options, *([] if rounds == ROUNDS else [f"--rounds={rounds}"])]


def _narrow(
    table: "Table", domains: Sequence[str] | None, seeds: Sequence[int] | None, rows: Sequence[str] | None
) -> "Table":
    from naslora_core.errors import ConfigError

    changes: dict[str, Any] = {}
    if domains:
        changes["domains"] = tuple(domains)
    if seeds:
        changes["seeds"] = tuple(seeds)
    if rows:
        if unknown := [name for name in rows if name not in table.names]:
            raise ConfigError(f"--row {unknown[0]} is no row of this table; known: {', '.join(table.names)}")
        changes["rivals"] = {name: row for name, row in table.rivals.items() if name in rows}
        changes["transfers"] = {name: row for name, row in table.transfers.items() if name in rows}
        kept = {table.reference, *rows, *changes["rivals"].values(), *changes["transfers"].values()}
        changes["rows"] = {name: own for name, own in table.rows.items() if name in kept}
    narrowed = table.model_copy(update=changes)
    if narrowed.transfers and len(set(narrowed.domains)) < 2:
        lacking = f"{', '.join(narrowed.transfers)}: its architecture comes from another domain; name two with --domain"
        if rows:
            raise ConfigError(f"--row {lacking}")
        typer.echo(f"left out: {lacking}", err=True)
        return narrowed.model_copy(update={"transfers": {}})
    return narrowed


def _model_settings(table: "Table", model: str | None) -> list[str]:
    from naslora_core.errors import ConfigError

    if not table.models and model is None:
        return []
    name = model or next(iter(table.models))
    if name not in table.models:
        raise ConfigError(f"--model {name} is none of this table's models: {', '.join(table.models) or 'it has none'}")
    return [f"model.name={name}", f"model.checkpoint={table.models[name]}"]


def _require(root: Path, table: "Table", extra: Sequence[str]) -> None:
    from naslora_core.bench.table import missing_for
    from naslora_core.errors import PipelineError
    from pipelines.bench.jobs import row_params

    params = row_params(root, table, table.reference, extra)
    if lacking := missing_for(root, table, params.model):
        raise PipelineError("this experiment cannot start:\n  " + "\n  ".join(lacking))


def _show_presets(root: Path) -> None:
    from naslora_core.bench.table import load_table, missing_for
    from pipelines.bench.jobs import row_params

    rows = []
    for path in sorted((root / "configs" / "paper").glob("*.yaml")):
        table = load_table(path)
        for model in table.models:
            params = row_params(root, table, table.reference, _model_settings(table, model))
            lacking = missing_for(root, table, params.model)
            rows.append({"preset": path.stem, "model": model, "lacking": lacking})
            typer.echo(f"{path.stem} {model}: {'; '.join(lacking) if lacking else 'ready'}")
    typer.echo("Next: naslora bench --preset NAME --model MODEL")
    print_result(rows)
