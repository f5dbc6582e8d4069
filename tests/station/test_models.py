"""Models: loaded, tested, switched, rolled back, while parts come in."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from stations import client_of, upload
from typer.testing import CliRunner

import trd
from trd.cli import app
from trd.errors import CheckpointError, OutputError
from trd.types import Sample
from trd_station.shelf.self_test import Recorded, self_test
from trd_station.station import Station

BASE = "/v1/classes/biscuit"


@pytest.fixture
def two(opened, run_folder: Path, other_run: Path) -> Station:
    return opened(run_folder, other_run)


def names(client: TestClient) -> list[str]:
    return [one["name"] for one in client.get("/v1/models").json()["found"]]


def test_load_switch_and_roll_back(two: Station, test_parts: Path) -> None:
    with client_of(two) as client:
        assert names(client) == ["run/biscuit", "other/biscuit"]
        loaded = client.post(f"{BASE}/models", json={"name": "other/biscuit"})
        assert loaded.status_code == 201
        other = loaded.json()
        assert (other["state"], other["self_test"]["passed"]) == ("ready", True)
        assert client.get(BASE).json()["model"]["name"] == "run/biscuit"
        assert client.post(f"/v1/models/{other['id']}/switch", json={}).status_code == 422
        switched = client.post(f"/v1/models/{other['id']}/switch", json={"reason": "better"}).json()
        assert switched["state"] == "serving"
        files = upload(test_parts / "good", "000")
        (told,) = client.post(f"{BASE}/inspections", files=files).json()["inspections"]
        assert (told["model"], told["detector"]) == (other["id"], other["detector"])
        begin = time.monotonic()
        back = client.post(f"{BASE}/models/roll-back", json={"reason": "worse"}).json()
        assert time.monotonic() - begin < 1
        assert (back["name"], back["state"]) == ("run/biscuit", "serving")
        states = {one["name"]: one["state"] for one in client.get("/v1/models?class=biscuit").json()["models"]}
        assert states == {"run/biscuit": "serving", "other/biscuit": "ready"}
        assert client.post(f"/v1/models/{back['id']}/self-test").json()["self_test"]["passed"]


def test_nothing_to_roll_back_to(client: TestClient) -> None:
    answer = client.post(f"{BASE}/models/roll-back", json={"reason": "?"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert client.get("/v1/models", params={"class": "biscuit"}).json()["roll_back"] is None


@pytest.mark.parametrize("count", [40, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(1500)])])
def test_a_switch_under_load_fails_no_request(two: Station, test_parts: Path, count: int) -> None:
    files = upload(test_parts / "good", "000")
    with client_of(two) as client, ThreadPoolExecutor(4) as pool:
        one = client.get(BASE).json()["model"]
        other = client.post(f"{BASE}/models", json={"name": "other/biscuit"}).json()
        detectors = {m["id"]: m["detector"] for m in (one, other)}
        scores: dict[int, set[float]] = {one["id"]: set(), other["id"]: set()}
        done = threading.Event()

        def switch() -> int:
            count = 0
            while not done.is_set():
                for model in (other, one):
                    assert client.post(f"/v1/models/{model['id']}/switch", json={"reason": "x"}).status_code == 200
                    count += 1
                    time.sleep(0.05)
            return count

        switches = pool.submit(switch)
        answers = list(pool.map(lambda _: client.post(f"{BASE}/inspections", files=files), range(count)))
        done.set()
        assert switches.result() >= 2
        for answer in answers:
            assert answer.status_code == 201, answer.text
            (told,) = answer.json()["inspections"]
            assert told["detector"] == detectors[told["model"]]
            scores[told["model"]].add(told["score"])
    assert all(len(found) == 1 for found in scores.values())  # each model's own score, never a mixture


def test_a_model_that_is_damaged_or_fails_its_test_never_serves(
    opened, run_folder: Path, other_run: Path, tmp_path: Path, test_parts: Path, monkeypatch
) -> None:
    station = opened()
    shutil.copytree(other_run / "biscuit", station.settings.models / "broken")
    weights = station.settings.models / "broken" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-100] ^= 1
    weights.write_bytes(bytes(data))
    shutil.copytree(other_run / "biscuit", station.settings.models / "odd")
    with client_of(station) as client:
        answer = client.post(f"{BASE}/models", json={"name": "broken"})
        assert (answer.status_code, answer.json()["code"]) == (409, "self_test")
        assert "is damaged" in answer.json()["detail"]

        class Odd:
            """Its maps differ from call to call, as those of a faulty runtime may."""

            def __init__(self, engine) -> None:
                self._engine, self._calls = engine, 0
                self.device, self.precision, self.form = engine.device, engine.precision, engine.form

            def raw_maps(self, images):
                self._calls += 1
                return {n: m + np.float32(0.01 * self._calls) for n, m in self._engine.raw_maps(images).items()}

        load = trd.Detector.load

        def odd(path, *more):
            detector = load(path, *more)
            detector.engine = Odd(detector.engine)
            return detector

        monkeypatch.setattr(trd.Detector, "load", odd)
        answer = client.post(f"{BASE}/models", json={"name": "odd"})
        monkeypatch.undo()
        assert "repeatable: the same part gets another map" in answer.json()["detail"]
        states = {one["name"]: (one["state"], one["id"]) for one in client.get("/v1/models").json()["models"]}
        assert states["broken"][0] == states["odd"][0] == "failed"
        refused = client.post(f"/v1/models/{states['broken'][1]}/switch", json={"reason": "please"})
        assert refused.status_code == 409
        (told,) = client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000")).json()["inspections"]
        assert told["detector"] == load(run_folder).facts.id
        kinds = [one["kind"] for one in client.get("/v1/events?level=alarm").json()["events"]]
        assert kinds == ["self_test", "self_test"]


def test_a_self_test_compares_recorded_parts(run_folder: Path, opened, test_parts: Path) -> None:
    station = opened()
    with client_of(station) as client:
        for kind in ("good", "chip"):
            client.post(f"{BASE}/inspections", files=upload(test_parts / kind, "000"))
        model = client.get(BASE).json()["model"]
        told = client.post(f"/v1/models/{model['id']}/self-test").json()["self_test"]
        assert told["passed"]
        assert [check["name"] for check in told["checks"]].count("recorded part 000") == 2
    detector = trd.Detector.load(run_folder, "cpu")
    sample = Sample("x", {"rgb": np.full((192, 192, 3), 90, np.uint8), "xyz": np.ones((192, 192, 3), np.float32)})
    score = detector.predict(sample).score
    assert self_test(detector, [Recorded(sample, score)]).passed
    failed = self_test(detector, [Recorded(sample, score + 1)])
    assert failed.fault.startswith("recorded part x: it scores")


def test_the_model_that_served_serves_after_a_restart(opened, run_folder: Path, other_run: Path) -> None:
    station = opened(run_folder, other_run)
    with client_of(station) as client:
        other = client.post(f"{BASE}/models", json={"name": "other/biscuit"}).json()
        client.post(f"/v1/models/{other['id']}/switch", json={"reason": "better"})
        client.put(f"{BASE}/threshold", json={"reject_above": 5.0, "review_above": 4.0, "reason": "x"})
    station.close()
    again = opened(run_folder, other_run)
    serving = again.shelf.serving("biscuit")
    assert (serving.version.id, serving.threshold.limits.reject_above) == (other["id"], 5.0)


def test_a_class_whose_detector_is_refused_at_the_start_is_there_to_be_put_right(
    opened, run_folder: Path, other_run: Path, tmp_path: Path, test_parts: Path
) -> None:
    gear = Path(shutil.copytree(other_run / "biscuit", tmp_path / "gear"))
    whole = (gear / "weights.safetensors").read_bytes()
    (gear / "weights.safetensors").write_bytes(b"short")
    station = opened(run_folder, f"gear={gear}")
    with client_of(station) as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["classes"]) == (503, {"biscuit": True, "gear": False})
        told = {one["name"]: one for one in client.get("/v1/classes").json()["classes"]}
        assert (told["gear"]["ready"], told["gear"]["model"], told["gear"]["alarms_open"]) == (False, None, 1)
        files = upload(test_parts / "good", "000")
        assert client.post("/v1/classes/gear/inspections", files=files).status_code == 503
        assert client.post("/v1/classes/gear/models/roll-back", json={"reason": "x"}).status_code == 503
        assert client.post(f"{BASE}/inspections", files=files).status_code == 201
        assert client.get("/metrics").status_code == 200
        (gear / "weights.safetensors").write_bytes(whole)
        loaded = client.post("/v1/classes/gear/models", json={"name": "gear"}).json()
        client.post(f"/v1/models/{loaded['id']}/switch", json={"reason": "repaired"})
        assert client.get("/readyz").json()["classes"] == {"biscuit": True, "gear": True}
        assert client.post("/v1/classes/gear/inspections", files=files).status_code == 201


def test_another_detector_in_the_place_of_an_earlier_one_is_not_taken_for_it(
    opened, run_folder: Path, other_run: Path, tmp_path: Path
) -> None:
    one, other = (Path(shutil.copytree(run, tmp_path / run.name)) for run in (run_folder, other_run))
    station = opened(one, other)
    with client_of(station) as client:
        first = client.get(BASE).json()["model"]
        second = client.post(f"{BASE}/models", json={"name": "other/biscuit"}).json()
        client.post(f"/v1/models/{second['id']}/switch", json={"reason": "better"})
    station.close()
    assert CliRunner().invoke(app, ["calibrate", str(one), "--rate", "0.4"]).exit_code == 0
    again = opened(one, other)
    with client_of(again) as client:
        answer = client.post(f"{BASE}/models/roll-back", json={"reason": "worse"})
        assert answer.status_code == 409
        assert f"than model {first['id']} was" in answer.json()["detail"]
        assert client.get(BASE).json()["model"]["id"] == second["id"]


def test_what_a_station_cannot_begin_with(opened, run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        opened(tmp_path / "nothing")
    shutil.copytree(run_folder / "biscuit", tmp_path / "cut")
    (tmp_path / "cut" / "weights.safetensors").write_bytes(b"short")
    with pytest.raises(Exception, match="is missing or truncated"):
        opened(tmp_path / "cut", data="fresh")
    opened()
    with pytest.raises(OutputError, match="is in use: a station by process"):
        opened()


def test_several_classes_each_with_its_name(opened, run_folder: Path, other_run: Path, test_parts: Path) -> None:
    station = opened(f"left={run_folder}", f"right={other_run}")
    with client_of(station) as client:
        assert [one["name"] for one in client.get("/v1/classes").json()["classes"]] == ["left", "right"]
        files = upload(test_parts / "good", "000")
        scores = {
            name: client.post(f"/v1/classes/{name}/inspections", files=files).json()["inspections"][0]["score"]
            for name in ("left", "right")
        }
        assert scores["left"] != scores["right"]
        missing = client.post("/v1/classes/middle/inspections", files=files)
        assert (missing.status_code, missing.json()["code"]) == (404, "no_class")
        found = client.get("/v1/inspections?class=left").json()["inspections"]
        assert [one["class"] for one in found] == ["left"]
