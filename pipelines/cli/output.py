"""`--json`: print the result of a command as one JSON document."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import Annotated, TextIO

import typer

from pipelines.json_document import to_json

# Where the document goes; None where the present command was not asked for one.
_document: ContextVar[TextIO | None] = ContextVar("document", default=None)


def _claim_stdout(context: typer.Context, wanted: bool) -> bool:
    if wanted and _document.get() is None:
        context.with_resource(_only_the_document())
    return wanted


@contextmanager
def _only_the_document() -> Iterator[None]:
    """Redirect everything but the document to standard error."""
    claimed = _document.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _document.reset(claimed)


Json = Annotated[
    bool,
    typer.Option(
        "--json",
        callback=_claim_stdout,
        help="Print the result as one JSON document; every other line goes to standard error.",
    ),
]


def print_result(content: object) -> None:
    """Print the result of the command as JSON if --json was given.

    Args:
        content: what JSON knows, and dataclasses, pydantic models and paths; all of it nested as you like.
    """
    if (stdout := _document.get()) is not None:
        typer.echo(to_json(content), file=stdout)


def print_error(error: BaseException) -> None:
    """Print why the command failed: a line on standard error, and {"error": …} on standard output with --json."""
    if "--json" in sys.argv[1:]:
        typer.echo(to_json({"error": str(error)}))
    else:
        sys.stderr.write(f"error: {error}\n")
