"""`naslora data diff` and `log`: versions of the data, by the commits of data.dvc."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.output import Json, print_result

if TYPE_CHECKING:
    from naslora_core.data.curation.changes import Changes


def diff(
    domain: Annotated[str, typer.Argument(help="Which domain.")],
    before: Annotated[str, typer.Argument(metavar="[REV_A]", help="A git revision.")] = "HEAD",
    after: Annotated[
        str | None, typer.Argument(metavar="[REV_B]", help="Another one.", show_default="the working tree")
    ] = None,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=0, help="How many names each line shows; 0 is all.")] = 8,
) -> None:
    """Tell what changed from one version of a domain to another, without checking anything out."""
    from naslora_core.data.curation.changes import find_changes
    from naslora_core.errors import ConfigError
    from pipelines.dvc.data_versions import DataVersions
    from pipelines.run.inputs import project_root

    versions = DataVersions(project_root())
    old = versions.version(domain, before)
    new = versions.working_version(domain) if after is None else versions.version(domain, after)
    if not old.splits and not new.splits:
        raise ConfigError(
            f"there is no domain '{domain}' in {old.label}, and none in {new.label}; see naslora data list"
        )
    changes = find_changes(old, new)
    typer.echo(f"{domain}, {old.label} to {new.label}: {changes.pairs[0]} to {changes.pairs[1]} pairs")
    for line in _lines(changes, limit):
        typer.echo(f"  {line}")
    typer.echo(f"Next: naslora data log {domain}")
    print_result(changes)


def log(domain: Annotated[str, typer.Argument(help="Which domain.")], as_json: Json = False) -> None:
    """List the commits that changed a domain, newest first, and which of them the present models were trained on.

    The third column is the fingerprint of the data, as adapter.json holds it under dataset_sha256 and
    model.json under origin.
    """
    from naslora_core.errors import ConfigError, DataError
    from pipelines.dvc.data_versions import DataVersions
    from pipelines.run.inputs import project_root

    root = project_root()
    versions, models = DataVersions(root), _models(root, domain)
    lines: list[str] = []
    rows: list[dict[str, object]] = []
    earlier: tuple[object, ...] = ()
    for commit in reversed(versions.commits()):
        row: dict[str, object] = asdict(commit)
        try:
            version = versions.version(domain, commit.revision)
        except DataError as error:
            rows.append(row | {"error": str(error)})
            lines.append(f"{commit.revision}  {commit.date}  {error}")
            continue
        content = (version.images, version.masks, version.quarantined, version.splits, version.card)
        if content == earlier or (not version.card and not lines):
            continue
        earlier = content
        digest = versions.dataset_sha256(domain, version)
        counted = f"{len(version.images)} images, {len(version.masks)} masks, {len(version.quarantined)} in quarantine"
        models_of = [name for name, sha256 in models.items() if sha256 and sha256 == digest]
        trained = "".join(f"  <- {name}" for name in models_of)
        rows.append(
            row
            | {
                "dataset_sha256": digest,
                "images": len(version.images),
                "masks": len(version.masks),
                "quarantined": len(version.quarantined),
                "models": models_of,
            }
        )
        lines.append(f"{commit.revision}  {commit.date}  {digest[:12]:12}  {counted}  {commit.subject}{trained}")
    if not lines:
        raise ConfigError(f"no commit of data.dvc has a domain '{domain}'; add it: dvc add data, then git commit")
    for line in reversed(lines):
        typer.echo(line)
    typer.echo(f"Next: naslora data diff {domain} <revision> <revision>")
    print_result(rows[::-1])


def _models(root: Path, domain: str) -> dict[str, str]:
    """Return the data fingerprints of the trained adapter and of the model in service, "" for none."""
    files = {
        "trained adapter": root / "artifacts" / "search_train" / domain / "adapter.json",
        "model in service": root / "serving" / domain / "model.json",
    }
    contents = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.is_file()}
    # A merged model keeps the notes of its adapter under "origin".
    return {name: notes.get("origin", notes).get("dataset_sha256", "") for name, notes in contents.items()}


def _lines(changes: "Changes", limit: int) -> list[str]:
    """Return the changes as text, one line per kind."""

    def named(names: list[str]) -> str:
        shown = names[:limit] if limit else names
        return ", ".join(shown) + (f", … and {len(names) - len(shown)} more" if len(shown) < len(names) else "")

    kinds = {f"images {what}": names for what, names in changes.images.items()}
    kinds |= {f"masks {what}": names for what, names in changes.masks.items()}
    kinds |= {"into quarantine": changes.quarantined, "out of quarantine": changes.restored}
    for old, new in sorted(set(changes.moved.values())):
        kinds[f"moved from {old} to {new}"] = [name for name, way in changes.moved.items() if way == (old, new)]
    lines = [f"{kind}: {len(names)}: {named(names)}" for kind, names in kinds.items() if names]
    lines += [f"card, {field}: {_value(old)} -> {_value(new)}" for field, (old, new) in changes.card.items()]
    return lines or ["no difference"]


def _value(value: object) -> str:
    return "(none)" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
