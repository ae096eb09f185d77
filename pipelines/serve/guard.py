"""What every request has to pass, and what every answer carries."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    """By which names the server may be called.

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
    """Refuse what other pages make a browser send, and put security headers on every answer."""

    def __init__(self, app: ASGIApp, rule: HostRule) -> None:
        self._app, self._rule = app, rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.update(_HEADERS)
                if message["status"] >= 400:
                    # Else the rest of an upload that is refused would be read, to keep the connection for another.
                    answer["Connection"] = "close"
            await send(message)

        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        app = self._app
        if not self._rule.allows(host):
            app = _error(421, f"this server is not called '{host[:80]}'; use localhost, or start it with --allow-host")
        elif origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            app = _error(403, "other pages may not use this server; open its own page")
        await app(scope, receive, send_guarded)


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
