"""`naslora models pull` and `push`: bring the files of model versions here, and give them to others."""

from typing import Annotated

import typer

from pipelines.cli.models.shared import SomeDomain, Wait, known_record, model_registry
from pipelines.cli.output import Json, print_result


def pull(
    domain: SomeDomain = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Which version.", show_default="in service, and before that")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every version.")] = False,
    wait: Wait = 60,
    as_json: Json = False,
) -> None:
    """Fetch models that git has pointers of: those in service, and those that a rollback would take.

    They come from DVC's cache or the default remote, and are checked against the SHA-256 that was registered. Models in
    service are put into serving/, so that naslora predict and naslora serve work at once.
    """
    from naslora_core.errors import ConfigError
    from pipelines.models.promote import restore
    from pipelines.models.version_files import pull as fetch
    from pipelines.run.inputs import shared_project
    from pipelines.run.lock import exclusive
    from stages.console import ConsoleProgress

    root, registry = shared_project(typer.echo), model_registry()
    if version is not None and (domain is None or everything):
        raise ConfigError("--version needs the name of a domain, and goes without --all")
    domains = [domain] if domain else registry.domains()
    with exclusive(root, wait, typer.echo):
        for name in domains:
            known_record(registry, name)
        done = fetch(root, domains, version, everything, ConsoleProgress())
        restored = [name for name in domains if restore(root, name)]
    for word, versions in (("Fetched", done.fetched), ("Here already", done.here)):
        if versions:
            typer.echo(f"{word}: {_named(versions)}")
    if not domains:
        typer.echo("No model yet.")
    if restored:
        typer.echo(f"In service, in {root / 'serving'}: {', '.join(restored)}")
    typer.echo("Next: naslora run" if version is None else f"Next: naslora models rollback {domain} --to {version}")
    print_result({"fetched": _rows(done.fetched), "here": _rows(done.here), "restored": restored})


def push(domain: SomeDomain = None, wait: Wait = 60, as_json: Json = False) -> None:
    """Send the files of all versions that are here to the default remote, and name what git has to carry."""
    from pipelines.dvc.command import default_remote
    from pipelines.models.version_files import push as send
    from pipelines.run.inputs import shared_project
    from pipelines.run.lock import exclusive
    from pipelines.run.to_commit import files_to_commit, stored_in_repository
    from stages.console import ConsoleProgress

    root, registry = shared_project(typer.echo), model_registry()
    domains = [domain] if domain else registry.domains()
    with exclusive(root, wait, typer.echo):
        for name in domains:
            known_record(registry, name)
        remote = default_remote(root)
        done = send(root, domains, ConsoleProgress())
    if done.sent:
        typer.echo(f"On the remote {remote}: {_named(done.sent)}")
    if done.sent and (inside := stored_in_repository(root)):
        typer.echo(f"{inside} lies in this repository: others get it by its commits, or from a remote of your own")
    if done.elsewhere:
        typer.echo(f"Not here, so not sent: {_named(done.elsewhere)}")
    if not domains:
        typer.echo("No model yet.\nNext: naslora run")
    else:
        files = files_to_commit(root)
        typer.echo(f"Next: git add {' '.join(files)} && git commit && git push" if files else "Next: git push")
    print_result({"remote": remote, "sent": _rows(done.sent), "elsewhere": _rows(done.elsewhere)})


def _named(versions: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{domain} {number}" for domain, number in versions)


def _rows(versions: tuple[tuple[str, int], ...]) -> list[dict[str, object]]:
    return [{"domain": domain, "version": number} for domain, number in versions]
