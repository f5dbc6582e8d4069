"""A station around a detector that trains in seconds, and parts to send to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import trd
from trd.config import load_recipe
from trd_station.settings import Settings
from trd_station.station import Station

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from sharing import Shared
from stations import client_of, upload

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
            chosen = Settings(tmp_path / data, device="cpu", **settings)  # type: ignore[arg-type]
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
