"""What the server does not do, and how it says so."""

from collections.abc import Mapping


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request is answered with {"error": message}.

    Args:
        status: of HTTP.
        message: what was wrong, what was expected, what to do; shown to whoever sent the request.
        headers: of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})
