"""A model beside the one that serves scores the same parts, decides nothing, and goes on after a start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from stations import client_of, until, upload

from trd.detector import Detector
from trd_station.station import Station

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


def row_of(station: Station, number: int) -> dict:
    from trd_station.store import history

    with station.database.reading() as connection:
        row = history.inspection_by_id(connection, number)
    assert row is not None
    return row
