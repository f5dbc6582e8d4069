"""What the station's tests send, and a client that needs no socket."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from trd.station.api.app import create_app
from trd.station.station import Station

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
