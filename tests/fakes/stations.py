"""What the station's tests send, and a client that needs no socket."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from trd_station.api.app import create_app
from trd_station.station import Station

Upload = list[tuple[str, tuple[str, bytes]]]


def upload(folder: Path, *stems: str) -> Upload:
    """The form of parts in a folder of rgb and xyz files."""
    return [
        (source, (f"{stem}{ending}", (folder / source / f"{stem}{ending}").read_bytes()))
        for stem in stems
        for source, ending in (("rgb", ".png"), ("xyz", ".tiff"))
    ]


def client_of(station: Station) -> TestClient:
    return TestClient(create_app(station), base_url="http://127.0.0.1", raise_server_exceptions=False)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut, flipped, doubled, or with numbers that are too large."""
    values = bytearray(data)
    for _ in range(chance.choice((1, 2, 10, 100))):
        place = chance.randrange(len(values))
        match chance.randrange(5):
            case 0:
                values[place] ^= 1 << chance.randrange(8)
            case 1:
                del values[place : place + chance.randrange(1, 200)]
            case 2:
                values[place:place] = values[place : place + chance.randrange(1, 200)]
            case 3:
                values[place : place + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
            case 4:
                del values[max(1, place) :]
        if not values:
            return b""
    return bytes(values)


def until(found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `found` returns as soon as that is something."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return value
