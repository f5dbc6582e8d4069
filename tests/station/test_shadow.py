"""A model beside the one that serves scores the same parts, decides nothing, and goes on after a start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from stations import client_of, until, upload

from trd.detector import Detector
from trd_station.station import Station
from trd_station.store import shadows
from trd_station.teaching import shadow
from trd_station.teaching.shadow import ShadowProcess
from trd_station.teaching.trial import JudgedPart

URL = "/v1/classes/biscuit/shadow"


def inspected(client: TestClient, test_parts: Path, kind: str) -> dict:
    answer = client.post("/v1/classes/biscuit/inspections", files=upload(test_parts / kind, "000"))
    (told,) = answer.json()["inspections"]
    return told


def scored(client: TestClient, count: int) -> dict:
    def enough() -> dict | None:
        told = client.get(URL).json()["shadow"]
        return told if told["parts"] == count else None

    return until(enough, 60)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_shadow_scores_and_decides_nothing(
    opened: Callable[..., Station], run_folder: Path, other_run: Path, test_parts: Path, tmp_path: Path
) -> None:
    station = opened(run_folder, other_run)
    with client_of(station) as client:
        assert client.get(URL).json() == {"shadow": None}
        other = client.post("/v1/classes/biscuit/models", json={"name": "other/biscuit"}).json()
        serving = client.get("/v1/classes/biscuit").json()["model"]["id"]
        assert client.put(URL, json={"model": serving}).json()["code"] == "conflict"
        limit = {"reject_above": 1e6, "reason": "lets everything through"}
        client.put("/v1/classes/biscuit/threshold", json=limit)
        begun = client.put(URL, json={"model": other["id"]}).json()["shadow"]
        assert (begun["scoring"], begun["model"]["id"], begun["parts"]) == (True, other["id"], 0)
        part = inspected(client, test_parts, "chip")
        client.post(f"/v1/inspections/{part['id']}/verdicts", json={"verdict": "defect"})
        assert (part["model"], part["decision"]) != (other["id"], "reject")
        told = scored(client, 1)
        assert told["agreement"] == [{"verdict": "defect", "both": 0, "serving": 0, "shadow": 1, "neither": 0}]
        (flip,) = told["flips"]
        detector = Detector.load(other_run / "biscuit", "cpu")
        sample = station.parts.inputs(row_of(station, part["id"])).sample()
        assert flip["shadow_score"] == pytest.approx(detector.predict(sample).score, rel=1e-4)
        assert (flip["id"], flip["shadow_rejects"]) == (part["id"], True)
    station.close()
    with client_of(opened(run_folder, other_run)) as client:  # it goes on
        inspected(client, test_parts, "good")
        assert scored(client, 2)["scoring"]
        ended = client.delete(URL).json()["shadow"]
        assert (ended["scoring"], ended["parts"]) == (False, 2)
        inspected(client, test_parts, "good")
        client.put(URL, json={"model": other["id"]})
        client.post(f"/v1/models/{other['id']}/switch", json={"reason": "it found more"})
        assert not client.get(URL).json()["shadow"]["scoring"]  # what serves is nobody's shadow


LOADED = "print('{\"reject_above\": 2.0}', flush=True)"
PART = JudgedPart(1, "000", None, None, False, {}, None)


def process_of(code: str, folder: Path, patch: pytest.MonkeyPatch) -> ShadowProcess:
    """Python's `code` in the place of a worker that loads a model."""

    def started(_module: str, _model: str, log: object) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "encoding": "utf-8"}
        return subprocess.Popen([sys.executable, "-S", "-c", code], **pipes)

    patch.setattr(shadow, "started", started)
    return ShadowProcess(folder, folder / "log.txt")


def test_a_process_that_is_killed_between_two_parts_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = process_of(f"{LOADED}; raise SystemExit(7)", tmp_path, monkeypatch)
    scores: list[int] = []
    reasons: list[str] = []
    process._process.wait(10)
    process.loaded()
    process.start(lambda number, _: scores.append(number), reasons.append)
    process.offer(PART)
    assert until(lambda: reasons) == ["its process ended with code 7"]
    assert scores == []


def test_a_process_that_never_began_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = process_of(f"{LOADED}; input()", tmp_path, monkeypatch)
    assert process.loaded() == 2.0
    process.stop()
    assert process._process.returncode is not None


def test_parts_wait_while_the_model_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a start of the station, which answers meanwhile."""
    go_on = tmp_path / "go-on"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.01)"
    says = "for line in sys.stdin: print('{\"score\": 1.5}', flush=True)"
    process = process_of(f"import sys\n{waits}\n{LOADED}\n{says}", tmp_path, monkeypatch)
    scores: list[tuple[int, float]] = []
    process.start(lambda number, score: scores.append((number, score)), pytest.fail)
    process.offer(PART)
    assert scores == []
    go_on.touch()
    assert until(lambda: scores) == [(1, 1.5)]
    process.stop()


def test_a_model_that_cannot_be_loaded_after_a_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = process_of('print(\'{"error": "it is damaged"}\', flush=True)', tmp_path, monkeypatch)
    reasons: list[str] = []
    process.start(lambda *_: None, reasons.append)
    assert until(lambda: reasons) == ["the model cannot be loaded: it is damaged"]


def test_a_process_is_stopped_while_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = process_of("import time; time.sleep(60)", tmp_path, monkeypatch)
    process.start(lambda *_: None, pytest.fail)
    process.stop()
    assert process._process.returncode is not None


def test_a_shadow_that_ends_late_leaves_the_next_one_alone(
    opened: Callable[..., Station], run_folder: Path, other_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = opened(run_folder, other_run)
    with client_of(station) as client:
        version = client.post("/v1/classes/biscuit/models", json={"name": "other/biscuit"}).json()
        class_id = station.class_id("biscuit")
        began = partial(shadows.begin, class_id=class_id, model_id=version["id"], reject_above=1.0, who="anna")
        first, second = station.database.write(began), station.database.write(began)
        station.shadows._give_up(first, "it was killed")
        with station.database.reading() as connection:
            assert shadows.open_shadows(connection) == [second]


def row_of(station: Station, number: int) -> dict:
    from trd_station.store import history

    with station.database.reading() as connection:
        row = history.inspection_by_id(connection, number)
    assert row is not None
    return row
