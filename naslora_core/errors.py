"""Errors a user can act on: each says what was found, what was expected and what to do."""


class NasLoraError(Exception):
    """Base of every error that is shown to the user as one message, without a traceback."""


class ConfigError(NasLoraError):
    """A parameter, option or name is wrong."""


class DataError(NasLoraError):
    """An image, mask or dataset folder is missing, broken or inconsistent."""


class CheckpointError(NasLoraError):
    """A weight file is missing, damaged or made for another model."""


class InjectionError(NasLoraError):
    """Adapters cannot be placed where they were asked for."""


class MergeError(NasLoraError):
    """A merge is impossible, or loses more than it may."""


class ExportError(NasLoraError):
    """A model does not fit into a format, or computes something else there."""


class PipelineError(NasLoraError):
    """A tool that drives the pipeline (DVC, Prefect, git) is missing or failed."""
