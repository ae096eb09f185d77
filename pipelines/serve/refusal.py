"""Refused requests, and the response to every error."""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from naslora_core.errors import NasLoraError

_LOG = logging.getLogger("uvicorn.error")


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """Refuses a request; the response is {"error": message}.

    Args:
        status: of HTTP.
        message: what was wrong, what was expected, what to do; shown to whoever sent the request.
        headers: of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})


def add_error_handlers(app: FastAPI) -> None:
    """Let an application answer every error with {"error": message}, without names of files and without a traceback."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> JSONResponse:
        return JSONResponse({"error": error.message}, error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def no_such_page(request: Request, error: HTTPException) -> JSONResponse:
        message = (
            f"{request.method} {request.scope['path'][:80]}: {error.detail}; there are /, /api/models, /api/predict"
        )
        return JSONResponse({"error": message}, error.status_code, error.headers)

    # Both name files of this machine, which is nobody's business who is not at its terminal.
    @app.exception_handler(NasLoraError)
    @app.exception_handler(OSError)
    async def not_loadable(request: Request, error: Exception) -> JSONResponse:
        _LOG.error("%s", error)
        return JSONResponse({"error": "this model cannot be loaded; the server's terminal says why"}, 500)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "the server failed at this request; its terminal says how"}, 500)
