"""What the commands on model versions share: the domain they are about, and its record."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.models.registry import ModelRegistry, Record

DomainArgument = Annotated[str, typer.Argument(help="Which domain's models.")]
SomeDomain = Annotated[str | None, typer.Argument(help="Only this domain.", show_default="all")]
Reason = Annotated[str, typer.Option(help="Why; is kept in the registry.")]
Wait = Annotated[float, typer.Option(min=0, help="Longest wait for a run to end, in seconds.")]


def model_registry() -> "ModelRegistry":
    """Return the registry of the project that the working folder is in."""
    from pipelines.models.conflicts import require_no_conflict
    from pipelines.models.registry import ModelRegistry
    from pipelines.run.inputs import project_root

    root = project_root()
    require_no_conflict(root)
    return ModelRegistry(root)


def known_record(registry: "ModelRegistry", domain: str) -> "Record":
    """Return the record of a domain; raises ConfigError if it has no model, with the domains that have one."""
    from naslora_core.errors import ConfigError

    record = registry.read(domain)
    if not record.versions:
        known = ", ".join(registry.domains()) or "none yet"
        raise ConfigError(f"'{domain}' has no model; domains with one: {known}. Start naslora run --domain {domain}")
    return record
