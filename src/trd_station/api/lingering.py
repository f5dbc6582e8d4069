"""Around all routes: an answer that is given before the whole request was read waits until the client has sent it.

Most clients look for an answer when they have sent everything. One that finds the connection closed before (the request
is too large, the token is wrong, the queue is full) tells its user of the network, not of the reason.
"""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = 30.0  # that a client may go on sending what nobody wants
IDLE = 5.0  # seconds without anything from it


class Lingering:
    """seconds, idle: how long the rest of a request is read and forgotten; then the client is answered all the same."""

    def __init__(self, app: ASGIApp, seconds: float = SECONDS, idle: float = IDLE) -> None:
        self._app, self._seconds, self._idle = app, seconds, idle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _sends_on(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        complete = False

        async def counted() -> Message:
            nonlocal complete
            message = await receive()
            complete = complete or not message.get("more_body", False)  # its end, or the client is gone
            return message

        async def after_the_request(message: Message) -> None:
            if message["type"] == "http.response.start":
                end = time.monotonic() + self._seconds
                while not complete and (left := end - time.monotonic()) > 0:
                    try:
                        await asyncio.wait_for(counted(), min(left, self._idle))
                    except asyncio.TimeoutError:
                        break
            await send(message)

        await self._app(scope, counted, after_the_request)


def _sends_on(headers: Headers) -> bool:
    """There is a body, and the client does not ask first whether it is wanted: that one gets its answer at once."""
    there = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return there and headers.get("expect", "").lower() != "100-continue"
