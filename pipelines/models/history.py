"""What a record says of the past: which version served before, and which has been decided on."""

from naslora_core.errors import ConfigError
from pipelines.models.registry import Record


def previous_in_service(record: Record) -> int | None:
    """Return the version that a rollback takes; repeated rollbacks go further back. None if there is none.

    That is the one in service before the present one; where none is in service, the one before the withdrawn one.
    """
    stack: list[int] = []
    for event in record.events:
        if event.action == "promoted":
            stack.append(event.version)
        elif event.action == "withdrawn":
            stack = [version for version in stack if version != event.version]
        elif event.action == "rolled back":
            while stack and stack[-1] != event.version:
                stack.pop()
            stack = stack or [event.version]
    if record.serving is not None:
        stack = stack[:-1]
    return stack[-1] if stack else None


def require_previous(record: Record) -> int:
    """Return the version that a rollback takes.

    Raises:
        ConfigError: if there is none.
    """
    before = previous_in_service(record)
    if before is None:
        present = "and has none now" if record.serving is None else f"before version {record.serving}"
        raise ConfigError(
            f"'{record.domain}' had no model in service {present}; name one with --to, see naslora models list"
        )
    return before
