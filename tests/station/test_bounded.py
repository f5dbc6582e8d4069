"""Bodies that are read as a whole."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from trd_station.api.bounded import MOST, Bounded

PIECE = 2**16


def pieces(size: int) -> Iterator[bytes]:
    """A body whose length is not declared."""
    for start in range(0, size, PIECE):
        yield bytes(min(PIECE, size - start))


@pytest.fixture
def lengths() -> list[int]:
    """Of the bodies that reached the application."""
    return []


@pytest.fixture
def client(lengths: list[int]) -> TestClient:
    async def app(_scope, receive, send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message.get("more_body", False)
        lengths.append(size)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return TestClient(Bounded(app))


@pytest.mark.parametrize("size", [0, 1, PIECE, MOST - 1, MOST])
def test_a_body_arrives_whole(client: TestClient, lengths: list[int], size: int) -> None:
    assert client.post("/v1/session", content=bytes(size)).status_code == 200
    assert client.post("/v1/session", content=pieces(size)).status_code == 200
    assert lengths == [size, size]


def test_a_larger_one_is_refused(client: TestClient, lengths: list[int]) -> None:
    for content in (bytes(MOST + 1), pieces(MOST + 1), pieces(10 * MOST)):
        answer = client.post("/v1/session", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert lengths == []


def test_many_small_pieces_take_no_longer(client: TestClient, lengths: list[int]) -> None:
    async def in_bytes() -> None:
        count, sent = 100_000, []

        async def app(_scope, receive, _send) -> None:
            lengths.append(len((await receive())["body"]))

        async def receive():
            sent.append(1)
            return {"type": "http.request", "body": b"x", "more_body": len(sent) < count}

        await Bounded(app)({"type": "http", "path": "/v1/session", "headers": []}, receive, lambda _: None)

    begun = time.process_time()
    asyncio.run(in_bytes())
    assert time.process_time() - begun < 20  # looking through all pieces for each takes minutes
    assert lengths == [100_000]


def test_uploads_have_limits_of_their_own(client: TestClient, lengths: list[int]) -> None:
    for path in ("/v1/classes/a/inspections", "/v1/classes/a/models/package"):
        assert client.post(path, content=pieces(MOST + 1)).status_code == 200
    assert lengths == [MOST + 1] * 2
