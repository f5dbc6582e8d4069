"""A station around a detector that trains in seconds, and parts to send to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

import trd
from trd.config import load_recipe
from trd.export.export import ExportJob, export
from trd.station.settings import Settings
from trd.station.station import Station

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from stations import client_of, upload

RECIPE = ("frame.size=64", "scoring.stand_ins=false")


@pytest.fixture(scope="session")
def run_folder(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served") / "run"
    trd.fit(drawn, out, load_recipe("patch-statistics", RECIPE), device="cpu")
    return out


@pytest.fixture(scope="session")
def other_run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another detector of the same class."""
    out = tmp_path_factory.mktemp("served") / "other"
    trd.fit(drawn, out, load_recipe("patch-statistics", ["frame.size=96", "scoring.stand_ins=false"]), device="cpu")
    return out


@pytest.fixture(scope="session")
def package(other_run: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of the other detector."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("sent") / "other.trdm"
    return export(ExportJob(other_run / "biscuit", path, "onnx"), Console(quiet=True)).package.path.read_bytes()


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
