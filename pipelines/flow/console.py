"""Keep what Prefect writes to the terminal short: the message of an error, and not how it came about.

Its server gets all of it, as before.
"""

import copy
import logging

from prefect.logging.formatters import PrefectFormatter

# They report every event that a server does not take.
_EVENTS = ("prefect.events", "prefect._internal")


def be_brief() -> None:
    """Let Prefect's loggers print no tracebacks, and say once that the server does not answer."""
    # "--- Error logging to API ---" with what follows.
    logging.raiseExceptions = False
    once = _Once()
    named = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.startswith("prefect")]
    for handler in {handler for logger in (logging.root, *named) for handler in logger.handlers}:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler.formatter, _Brief):
            handler.setFormatter(_Brief(handler.formatter or logging.Formatter()))
            handler.addFilter(once)


class _Brief(logging.Formatter):
    """Format a record as another formatter does, without its traceback."""

    def __init__(self, other: logging.Formatter) -> None:
        super().__init__()
        self._other = other

    def format(self, record: logging.LogRecord) -> str:
        """Return the text; other handlers may still want what is left out here."""
        return self._other.format(_without_traceback(record))


class ServerFormatter(PrefectFormatter):
    """Format what a server prints about itself: a line for an error, with the error's first line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text; it names the error, as nobody else keeps what the server says."""
        text = super().format(_without_traceback(record))
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return text
        return f"{text}: {(str(error) or type(error).__name__).splitlines()[0]}"


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    brief = copy.copy(record)
    brief.exc_info, brief.exc_text, brief.stack_info = None, None, None
    return brief


class _Once(logging.Filter):
    """Replace the first complaint about events by words for users, and drop the others."""

    def __init__(self) -> None:
        super().__init__()
        self._told = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to print a record."""
        if record.levelno < logging.WARNING or not record.name.startswith(_EVENTS):
            return True
        if self._told:
            return False
        self._told = True
        record.msg, record.args = "the Prefect server does not answer; the work goes on", ()
        return True
