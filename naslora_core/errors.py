"""Errors for users: each message says what was found, what was expected and what to do."""

from collections.abc import Iterable

# What torch says of an accelerator, and of the CPU.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")


class NasLoraError(Exception):
    """Base of every error that is shown to the user as one message, without a traceback."""

    def __str__(self) -> str:
        """Return the message with control and bidirectional characters escaped, for terminals."""
        return printable(super().__str__())


class ConfigError(NasLoraError):
    """A parameter, option or name is wrong."""


class DataError(NasLoraError):
    """An image, mask or dataset folder is missing, broken or inconsistent."""


class CheckpointError(NasLoraError):
    """A weight file is missing, damaged or made for another model."""


class InjectionError(NasLoraError):
    """Adapters cannot be placed where they were asked for."""


class TrainingError(NasLoraError):
    """A training cannot go on: its loss or gradients are no longer finite, or memory ran out."""


class MergeError(NasLoraError):
    """A merge is impossible, or loses more than it may."""


class ExportError(NasLoraError):
    """A model does not fit into a format, or computes something else there."""


class PipelineError(NasLoraError):
    """A tool that drives the pipeline (DVC, Prefect, git) is missing or failed."""


def printable(text: str) -> str:
    """Return text with every non-printing character but line breaks written as a Python escape."""
    shown = (letter.isprintable() or letter == "\n" for letter in text)
    escaped = (letter.encode("unicode_escape").decode() for letter in text)
    return "".join(letter if fine else escape for letter, fine, escape in zip(text, shown, escaped, strict=True))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on the CPU or on an accelerator."""
    # By its text, which does not need torch to be loaded as its type would.
    said = isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY)
    return said or isinstance(error, MemoryError)


def few(names: Iterable[object], most: int = 5) -> str:
    """Return the first names of many, separated by commas, and "…" if there are more."""
    listed = list(map(str, names))
    return ", ".join(listed[:most]) + (", …" if len(listed) > most else "")


def shorten(text: str, most: int = 120) -> str:
    """Return a text shortened to a limit."""
    return text if len(text) <= most else f"{text[:most]}…"
