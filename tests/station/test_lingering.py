"""Refusals that reach a client which is still sending: of a real server, since a test client has no connection."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from trd_station.api.app import create_app
from trd_station.api.lingering import Lingering
from trd_station.serve import listening

LIMIT = 2**20
SENT = 2**25  # more than a connection's buffers hold


@contextmanager
def answering(app: object) -> Iterator[int]:
    with listening("127.0.0.1", 0) as bound:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def port(opened) -> Iterator[int]:
    with answering(create_app(opened(max_model_bytes=LIMIT, max_body_bytes=LIMIT))) as one:
        yield one


def head(path: str, kind: str, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {SENT}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(connection: socket.socket) -> tuple[int, dict]:
    """Status and body."""
    with connection.makefile("rb") as file:
        status = int(file.readline().split()[1])
        length = 0
        while line := file.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return status, json.loads(file.read(length))


REFUSED = (
    ("/v1/classes/biscuit/models/package", "application/octet-stream", 413, "too_large"),
    ("/v1/classes/biscuit/inspections", "multipart/form-data; boundary=x", 413, "too_large"),
    ("/v1/classes/biscuit/models/package", "application/zip", 415, "format"),
    ("/v1/classes/gear/inspections", "multipart/form-data; boundary=x", 404, "no_class"),
    ("/v1/session", "application/json", 413, "too_large"),
)


@pytest.mark.parametrize("more", [(), ("Connection: close",)])  # as Python's own client has it
def test_a_client_that_sends_everything_first_sees_why(port: int, more: tuple[str, ...]) -> None:
    for path, kind, status, code in REFUSED:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(head(path, kind, *more))
            for _ in range(SENT // LIMIT):
                connection.sendall(bytes(LIMIT))
            found, told = answer(connection)
        assert (found, told["code"]) == (status, code)


def test_a_client_that_asks_first_sends_nothing(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        begun = time.monotonic()
        asked = head("/v1/classes/biscuit/models/package", "application/octet-stream", "Expect: 100-continue")
        connection.sendall(asked)
        assert answer(connection)[0] == 413
        assert time.monotonic() - begun < 4  # not the time that another one is given


@pytest.mark.parametrize(("seconds", "idle"), [(30.0, 0.2), (0.2, 30.0)])
def test_a_client_that_does_not_go_on_is_answered_all_the_same(seconds: float, idle: float) -> None:
    async def refusing(_scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    with (
        answering(Lingering(refusing, seconds, idle)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
    ):
        connection.sendall(head("/", "text/plain") + bytes(10))
        assert answer(connection) == (413, {})
