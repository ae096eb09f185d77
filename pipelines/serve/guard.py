"""Checks of every request, and security headers of every response."""

import asyncio
import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DRAINED_BYTES, _DRAIN_S = 4 << 20, 0.5
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = {
    # The page's photographs and masks are made in the browser.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class HostRule:
    """The host names by which the server may be called.

    A page on the web can point a name of its own at 127.0.0.1 and would then be of the same origin as this server
    (DNS rebinding). It can do so with a name only, so a server that is meant for other machines takes any address.

    Attributes:
        names: in lower case.
        takes_addresses: whether any IP address is one too.
    """

    names: frozenset[str] = LOOPBACK_NAMES
    takes_addresses: bool = False

    def allows(self, header: str) -> bool:
        """Return whether a Host header, with or without a port, names this server."""
        try:
            name = urlsplit(f"//{header}").hostname
        except ValueError:
            return False
        return name is not None and (name in self.names or (self.takes_addresses and _is_address(name)))


class Guard:
    """ASGI middleware that refuses cross-site requests, and adds security headers to every response."""

    def __init__(self, app: ASGIApp, rule: HostRule) -> None:
        self._app, self._rule = app, rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        upload = _Upload(receive)
        refused = False

        async def send_guarded(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.update(_HEADERS)
                if refused := message["status"] >= 400:
                    # Else the rest of an upload that is refused would be read, to keep the connection for another.
                    answer["Connection"] = "close"
            elif refused and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await upload.drain()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        app = self._app
        if not self._rule.allows(host):
            app = _error(421, f"this server is not called '{host[:80]}'; use localhost, or start it with --allow-host")
        elif origin is not None and _host_of(origin) != host.lower():
            app = _error(403, "other pages may not use this server; open its own page")
        await app(scope, upload.receive, send_guarded)


class _Upload:
    """The body of a request, which is drained for a moment after a refusal.

    A connection that is closed while data arrives is reset, and the sender may lose the answer with it.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive, self._ended = receive, False

    async def receive(self) -> Message:
        """Return the next message, and note which was the last."""
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read on for a moment, but no more than a few megabytes, while the answer arrives at the other end."""
        taken = 0
        with suppress(asyncio.TimeoutError):
            while not self._ended and taken < _DRAINED_BYTES:
                message = await asyncio.wait_for(self.receive(), _DRAIN_S)
                taken += len(message.get("body", b""))


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
