"""A station around a detector that trains in seconds, and parts to send to it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sharing import Shared
from stations import client_of, free_port, until, upload

import trd
from trd.config import load_recipe
from trd_station.settings import Settings
from trd_station.station import Station

RECIPE = ("frame.size=64", "scoring.stand_ins=false")


@pytest.fixture(scope="session")
def run_folder(drawn: Path, shared: Shared[Path]) -> Path:
    return shared("served", lambda folder: fitted(drawn, folder / "run", *RECIPE))


@pytest.fixture(scope="session")
def other_run(quick_run: Path) -> Path:
    """Another detector of the same class: its images are larger."""
    return quick_run


def fitted(drawn: Path, out: Path, *overrides: str) -> Path:
    trd.fit(drawn, out, load_recipe("patch-statistics", overrides), device="cpu")
    return out


@pytest.fixture(scope="session")
def package(quick_package: Path) -> bytes:
    """Of the other detector."""
    return quick_package.read_bytes()


@pytest.fixture(scope="session")
def test_parts(drawn: Path) -> Path:
    """DATA/biscuit/test: good (000, 001), chip, dent, stain (000)."""
    return drawn / "biscuit" / "test"


@pytest.fixture
def opened(tmp_path: Path, run_folder: Path) -> Iterator[Callable[..., Station]]:
    """Opens stations, and closes them at the end."""
    with ExitStack() as stack:

        def open_one(*runs: Path | str, data: str = "data", **settings: object) -> Station:
            chosen = Settings(tmp_path / data, device="cpu", **settings)
            station = Station.open(chosen, [str(run) for run in runs or (run_folder,)])
            stack.callback(station.close)
            return station

        yield open_one


@pytest.fixture
def station(opened: Callable[..., Station]) -> Station:
    return opened()


@pytest.fixture
def client(station: Station) -> Iterator[TestClient]:
    with client_of(station) as one:
        yield one


@pytest.fixture
def send(client: TestClient, test_parts: Path) -> Callable[..., list[dict]]:
    """Inspect parts of a kind; the inspections."""

    def send_some(kind: str = "good", *stems: str, **form: str) -> list[dict]:
        files = upload(test_parts / kind, *(stems or ("000",)))
        answer = client.post("/v1/classes/biscuit/inspections", files=files, data=form)
        assert answer.status_code == 201, answer.text
        return answer.json()["inspections"]

    return send_some


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Any]:
    """A real mosquitto, which can be stopped and started again."""
    command = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(command).exists():
        pytest.skip("mosquitto is not installed")
    port = free_port()
    configuration = tmp_path / "mosquitto.conf"
    (tmp_path / "acl").write_text("topic readwrite line/#\n")
    configuration.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {tmp_path}/\n"
        f"user root\nacl_file {tmp_path}/acl\n"
    )

    class Broker:
        address = f"mqtt://127.0.0.1:{port}/line"
        process: subprocess.Popen | None = None

        def start(self) -> None:
            self.process = subprocess.Popen([command, "-c", str(configuration)], stderr=subprocess.DEVNULL)

            def listens() -> bool:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    return True
                return False

            until(listens)

        def stop(self) -> None:
            if self.process is not None:
                self.process.kill()
                self.process.wait()

    one = Broker()
    one.port = port
    one.start()
    yield one
    one.stop()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Callable[[], Station]]:
    """Opens a station without detectors, on the same folder each time; the one before is closed."""
    stations: list[Station] = []

    def open_it() -> Station:
        while stations:
            stations.pop().close()
        stations.append(Station.open(Settings(tmp_path / "data", device="cpu"), []))
        return stations[-1]

    yield open_it
    for station in stations:
        station.close()
