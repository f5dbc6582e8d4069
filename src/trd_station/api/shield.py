"""Around all routes: names of the host, requests from other sites, and headers that a browser obeys."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trd_station.addresses import split_address
from trd_station.api.problems import Problem, answer

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SAFE = ("GET", "HEAD", "OPTIONS")
OWN = ("same-origin", "none")  # what a browser says of requests of our page and of what a person typed


class Shield:
    """hosts: names under which the station may be called. A page of another site that makes its name point here, or
    has its reader's browser send something here, gets nothing."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower().removesuffix(".") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        problem = self._fault(scope)
        if problem is None:
            await self._app(scope, receive, guarded)
        else:
            await answer(problem)(scope, receive, guarded)

    def _fault(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = _host_in(headers.get("host", ""))
        if "host" in headers and not self._is_ours(host):  # HTTP/1.0 may do without; no browser does
            return Problem(403, "host", f"this station is not called '{host[:100]}'")
        if scope["method"] in SAFE:
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:  # the browser has compared the addresses itself, and scripts cannot set it
            foreign = site not in OWN
        else:
            parts = split_address(origin) if origin is not None else None
            foreign = origin is not None and (parts is None or parts.netloc.lower() != headers.get("host", "").lower())
        if foreign:
            return Problem(403, "origin", "requests from another site's page are refused")
        return None

    def _is_ours(self, host: str) -> bool:
        """Also every address: a name can be made to point here, an address cannot."""
        if host in self._hosts:
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def _host_in(header: str) -> str:
    """Without the port, and without the dot that a name may end in."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().removesuffix(".")
