"""Around all routes: a JSON body is read as a whole, by whoever may call, so it may only be small."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trd_station.api.problems import Problem, answer

MOST = 4 * 2**20  # bytes; the largest that is sent is a brushed mask
# how paths end whose routes read in pieces, with limits of their own
STREAMED = ("/inspections", "/models/package", "/parts")


class Bounded:
    """A body of more than `most` bytes is answered with 413 before a route sees it."""

    def __init__(self, app: ASGIApp, most: int = MOST) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(STREAMED):
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        body = bytearray()
        message: Message = {}
        size = int(declared) if declared.isdecimal() else 0
        while size <= self._most:  # without a declared length it is known only when it is here
            message = await receive()
            body += message.get("body", b"")
            size = max(size, len(body))
            if not message.get("more_body", False):
                break
        if size > self._most:
            problem = Problem(413, "too_large", f"the request is larger than the limit of {self._most} bytes")
            await answer(problem)(scope, receive, send)
            return

        waiting = [{**message, "body": bytes(body)} if message["type"] == "http.request" else message]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, again, send)
