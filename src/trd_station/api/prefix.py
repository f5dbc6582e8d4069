"""Behind a proxy, under a path of its own: the page's addresses count from PREFIX/, so PREFIX alone leads there."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from trd.errors import RecipeError


def checked_prefix(text: str) -> str:
    """`/factory/trd` as it was given, without a slash at the end. Raises RecipeError."""
    prefix = text.rstrip("/")
    if prefix and (not prefix.startswith("/") or set(prefix) & set("?#% \\") or not prefix.isprintable()):
        raise RecipeError(f"--root-path {text}: expected a path such as /trd, as the proxy has it")
    return prefix


class Prefix:
    """A proxy may leave the prefix out of what it passes on; the routes count from behind it either way."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path == self._prefix:
            await RedirectResponse(f"{self._prefix}/", 308)(scope, receive, send)
            return
        whole = path if path.startswith(f"{self._prefix}/") else self._prefix + path
        await self._app({**scope, "root_path": self._prefix, "path": whole}, receive, send)
