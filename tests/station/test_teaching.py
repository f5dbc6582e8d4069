"""An empty station is taught a class: parts are collected, checked, trained on, and the detector is put in service."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from cameras import BrighteningCamera
from fastapi.testclient import TestClient
from jobs import jobs_in_this_process
from pages import serving
from recipes import TINY as TINY_NETWORK
from stations import client_of, until, upload

from trd.data.listing import list_class
from trd_station.inputs import live_camera
from trd_station.settings import Settings
from trd_station.station import Station
from trd_station.teaching import rates
from trd_station.teaching.settings import ClassSettings

BASE = "/v1/teaching/biscuit"
TINY = ["frame.size=64", "scoring.stand_ins=false"]
FIRST = {"kind": "train", "recipe": "patch-statistics", "settings": TINY}
WHY = {"reason": "to see"}


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


def good_parts(drawn: Path, *stems: str) -> list:
    return upload(drawn / "biscuit/train/good", *stems)


def collect(client: TestClient, drawn: Path, *stems: str) -> dict:
    answer = client.post(f"{BASE}/parts", files=good_parts(drawn, *stems))
    assert answer.status_code == 201, answer.text
    return answer.json()


def new_class(client: TestClient, name: str = "biscuit", layout: str = "colour and 3D") -> None:
    answer = client.post("/v1/teaching", json={"name": name, "layout": layout})
    assert answer.status_code == 201, answer.text


def ended(client: TestClient, number: int, seconds: float = 90) -> dict:
    def job() -> dict | None:
        told = client.get(f"/v1/jobs/{number}").json()
        return told if told["state"] in ("done", "failed", "cancelled") else None

    return until(job, seconds)


def asked(client: TestClient, **job: object) -> int:
    answer = client.post(f"{BASE}/jobs", json=job)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def events_of(client: TestClient) -> str:
    return "\n".join(event["text"] for event in client.get("/v1/events").json()["events"])


@pytest.mark.timeout(240)
def test_from_an_empty_station_to_a_class_in_service(empty, drawn: Path, tmp_path: Path) -> None:
    station = empty()
    told: list = []
    station.listeners.append(lambda message: told.append((message.event, message.data)))
    with client_of(station) as client:
        assert client.get("/v1/classes").json() == {"classes": []}
        assert client.get("/v1/teaching").json() == {"classes": []}
        new_class(client)
        taught = client.get(BASE).json()
        assert (taught["parts"], taught["needed"], taught["recommended"]) == (0, 19, 50)
        assert "at least 2 are needed" in taught["missing"]["train"]
        early = client.post("/v1/classes/biscuit/inspections", files=good_parts(drawn, "000"))
        assert (early.status_code, early.json()["code"]) == (404, "no_class")
        refused = client.post(f"{BASE}/jobs", json=FIRST)
        assert (refused.status_code, refused.json()["detail"]) == (422, taught["missing"]["train"])
        collected = collect(client, drawn, *(f"{number:03d}" for number in range(6)))
        assert [one["state"] for one in collected["parts"]] == ["kept"] * 6
        assert list_class(Path(taught["folder"]), "", ("rgb", "xyz"), ("xyz",)).train[5].id == "train/good/005"
        again = collect(client, drawn, "003")["parts"]
        assert (again[0]["state"], again[0]["name"]) == ("copy", "003")
        assert client.get(BASE).json()["frame"] == {"height": 192, "width": 192}

        first = ended(client, asked(client, **FIRST))
        assert (first["state"], first["error"], first["model"]) == ("done", None, "patch-statistics-1")
        stages = [data["stage"]["title"] for event, data in told if event == "job" and data["stage"]]
        assert "biscuit: preparation" in stages
        assert client.get("/v1/classes").json() == {"classes": []}  # it does not serve by itself
        assert "missing" in client.get(BASE).json()
    with client_of(empty()) as client:  # nor after a start
        assert client.get("/v1/classes").json() == {"classes": []}
        model = client.post("/v1/classes/biscuit/models", json={"name": "patch-statistics-1"}).json()
        assert client.post(f"/v1/models/{model['id']}/switch", json=WHY).json()["state"] == "serving"
        chip = client.post("/v1/classes/biscuit/inspections", files=upload(drawn / "biscuit/test/chip", "000"))
        assert chip.json()["inspections"][0]["decision"] in ("review", "reject")
        until(lambda: client.get("/v1/classes/biscuit/watch").json()["streams"])
    with client_of(empty()) as client:
        assert client.get("/readyz").json()["classes"] == {"biscuit": True}
        texts = events_of(client)
        for part in ("can be taught, by local", "6 good parts were collected by local", "job 1, train", "serves, by"):
            assert part in texts


def test_parts_are_kept_whole_or_refused(empty, drawn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data/teach/biscuit"
    with client_of(empty()) as client:
        new_class(client)
        for name in ("biscuit", "Biscuit", "a/b", ".hidden", "x" * 101):
            assert client.post("/v1/teaching", json={"name": name, "layout": "colour"}).status_code == 422, name
        collect(client, drawn, "000", "001")
        (rgb, xyz), broken = good_parts(drawn, "002"), ("rgb", ("002.png", b"no picture"))
        (told,) = client.post(f"{BASE}/parts", files=[broken, xyz]).json()["parts"]
        assert (told["state"], told["name"]) == ("refused", None)
        assert told["reason"].startswith("rgb cannot be read")
        other_size = tmp_path / "small.png"
        imagecodecs.imwrite(other_size, np.zeros((64, 64, 3), np.uint8))
        cloud = tmp_path / "small.npy"
        np.save(cloud, np.ones((64, 64, 3), np.float32))
        small = [(name, (path.name, path.read_bytes())) for name, path in (("rgb", other_size), ("xyz", cloud))]
        (told,) = client.post(f"{BASE}/parts", files=small).json()["parts"]
        assert "64 x 64 pixels (height x width), that of '000' 192 x 192" in told["reason"]
        (told,) = client.post(f"{BASE}/parts", files=[rgb, xyz], data={"part": "../x_mask"}).json()["parts"]
        assert told["name"] == "x_mask-part"
        (told,) = client.post(f"{BASE}/parts", files=good_parts(drawn, "003"), data={"part": "000"}).json()["parts"]
        assert told["name"] == "000-2"
        assert not list((folder / "incoming").iterdir())
        left = client.delete(f"{BASE}/parts/000-2").json()["parts"]
        assert [part["name"] for part in left] == ["000", "001", "x_mask-part"]
        assert (folder / "discarded/rgb/000-2.png").is_file()
        assert client.get(f"{BASE}/parts/000/xyz.png?size=64").headers["content-type"] == "image/png"
        assert client.get(f"{BASE}/parts/none/xyz.png").json()["code"] == "no_part"
    (folder / "parts/train/xyz/001.tiff").unlink()  # as a kill between the files of a part leaves it
    with client_of(empty()) as client:
        assert [part["name"] for part in client.get(f"{BASE}/parts").json()["parts"]] == ["000", "x_mask-part"]
        assert (folder / "incomplete/rgb/001.png").is_file()
        assert "1 good parts lacked a file (001)" in events_of(client)


def test_what_check_says(empty, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs_in_this_process(monkeypatch)
    with client_of(empty()) as client:
        new_class(client)
        collect(client, drawn, "000", "001", "002", "003")
        triangle = [[10, 10], [180, 10], [10, 180]]
        assert client.put(f"{BASE}/region", json={"inspect": [triangle]}).json()["inspect"] == [triangle]
        checked = ended(client, asked(client, kind="check", settings=["frame.size=64"]))
        assert checked["state"] == "done", checked
        result = checked["result"]
        assert result["problems"] == []
        assert result["facts"]["3D in"] == "metres"
        assert any("parts are few" in line for line in result["warnings"])
        assert sorted(part["name"] for part in result["strangest"]) == ["000", "001", "002", "003"]
        pictures = result["strangest"][0]["pictures"]
        assert set(pictures) == {"rgb", "normals", "where it is strange"}
        shown = client.get(f"/v1/jobs/{checked['id']}/pictures/{pictures['rgb']}")
        assert imagecodecs.jpeg_decode(shown.content).shape == (64, 64, 3)
        assert client.get(f"/v1/jobs/{checked['id']}/pictures/../job.json").status_code == 404


def test_what_a_machine_writes_is_collected(empty, drawn: Path, tmp_path: Path) -> None:
    with client_of(empty()) as client:
        new_class(client)
        drop = Path(client.get(BASE).json()["drop"])
        good = drawn / "biscuit/train/good"
        shutil.copy(good / "rgb/000.png", drop / "rgb/a.png")
        (drop / "rgb/b.png").write_bytes(b"no picture")
        for name in "abc":
            shutil.copy(good / "xyz/000.tiff", drop / f"xyz/{name}.tiff")
        until(lambda: [part["name"] for part in client.get(f"{BASE}/parts").json()["parts"]] == ["a"])
        until(lambda: "the folder 'drop': b: " in events_of(client))
        assert [path.name for path in (drop / "xyz").iterdir()] == ["c.tiff"]  # its partner may still come
        assert len(list((drop.parent / "refused/rgb").iterdir())) == 1
        assert "1 good parts were collected by the folder 'drop' (a): 1 now" in events_of(client)


def test_good_parts_from_a_camera(empty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_camera, "VideoCamera", BrighteningCamera)
    with client_of(empty()) as client:
        new_class(client, layout="colour")
        seen = client.get(f"{BASE}/camera.jpg?address=0&size=80")
        assert imagecodecs.jpeg_decode(seen.content).shape == (60, 80, 3)
        for count in (1, 2):
            told = client.post(f"{BASE}/parts/from-camera", json={"address": "0"}).json()
            assert (told["parts"][0]["state"], told["count"]) == ("kept", count)
        assert client.get(BASE).json()["frame"] == {"height": 120, "width": 160}
        for address in ("/etc/passwd", "file:///etc/passwd"):
            assert "is no camera" in client.get(f"{BASE}/camera.jpg", params={"address": address}).json()["detail"]
        assert BrighteningCamera.open_now == 1
    assert BrighteningCamera.open_now == 0


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"recipe": "/etc/passwd"}, "no recipe is called '/etc/passwd'; there are: demo, lite-bank"),
        ({"recipe": "lite-rgb"}, "the recipe 'lite-rgb' needs rgb; 'biscuit' has rgb, xyz"),
        ({"settings": ["teacher.weights=/etc/passwd"]}, "only frame, scoring"),
        ({"settings": ["frame.size=65"]}, "frame.size"),
    ],
)
def test_jobs_that_cannot_be(empty, drawn: Path, job: dict, said: str) -> None:
    with client_of(empty()) as client:
        new_class(client)
        collect(client, drawn, "000", "001")
        refused = client.post(f"{BASE}/jobs", json={"kind": "train", **job})
        assert refused.status_code == 422
        assert said in refused.json()["detail"]
        assert client.get(f"{BASE}/jobs").json() == {"jobs": []}


def test_how_many_good_parts_are_needed() -> None:
    """A first detector calibrates on all parts where too few would be held out; a network never does."""
    settings = ClassSettings("biscuit", "colour and 3D", "anna", 0)
    first, network = settings.recipe("lite-fast", ()), settings.recipe("lite-rgb-normals", ())
    assert rates.parts_needed(rates.first_detector(settings)) == 19
    assert rates.promised_rate(rates.first_detector(settings), 19) == pytest.approx(0.05)
    assert rates.parts_needed(network) == 56  # a third of which is held out
    chosen = {count: rates.calibrated_well(first, count, ()) for count in (9, 10, 55, 56)}
    assert chosen == {9: (), 10: (rates.CROSS,), 55: (rates.CROSS,), 56: ()}
    assert rates.calibrated_well(first, 20, ("scoring.calibration=split",)) == ()
    assert rates.calibrated_well(network, 20, ()) == ()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_job_is_cancelled_or_goes_on_with_the_next_station(empty, drawn: Path, tmp_path: Path) -> None:
    slow = {"kind": "train", "recipe": "lite-residual", "settings": [*TINY_NETWORK, "training.epochs=200"]}
    with client_of(empty()) as client:
        new_class(client)
        collect(client, drawn, *(f"{number:03d}" for number in range(6)))
        first, second, third = asked(client, **slow), asked(client, **FIRST), asked(client, **FIRST)
        assert client.get(f"/v1/jobs/{third}").json()["ahead"] == 2
        assert client.post(f"/v1/jobs/{third}/cancel").json()["state"] == "cancelled"
        until(lambda: client.get(f"/v1/jobs/{first}").json()["stage"])
        collect(client, drawn, "005")
        client.delete(f"{BASE}/parts/000")  # the job has its own list of parts
    station = empty()  # it was stopped while the first one ran
    with client_of(station) as client:
        until(lambda: client.get(f"/v1/jobs/{first}").json()["stage"])
        assert client.post(f"/v1/jobs/{first}/cancel").json()["state"] == "cancelled"
        assert client.post(f"/v1/jobs/{first}/cancel").json()["code"] == "conflict"
        assert ended(client, second)["model"] == f"patch-statistics-{second}"
        assert [job["state"] for job in client.get(f"{BASE}/jobs").json()["jobs"]] == ["cancelled", "done", "cancelled"]
        assert not (tmp_path / f"data/teach/biscuit/jobs/{first}/run").exists()
        assert "job 1, train by lite-residual: cancelled by local" in events_of(client)


def test_good_parts_from_the_history(station: Station, client: TestClient, send, drawn: Path) -> None:
    new_class(client)
    (good,), (chip,) = send("good", "000"), send("chip", "000")
    client.post(f"/v1/inspections/{chip['id']}/verdicts", json={"verdict": "defect"})
    told = client.post(f"{BASE}/parts/from-history", json={"inspections": [good["id"], chip["id"]]}).json()
    assert [(one["state"], one["reason"]) for one in told["parts"]] == [
        ("kept", None),
        ("refused", "its verdict is defect"),
    ]
    (part,) = client.get(f"{BASE}/parts").json()["parts"]
    kept = station.settings.data / "teach/biscuit/parts/train/rgb" / part["files"]["rgb"]
    assert kept.read_bytes() == (drawn / "biscuit/test/good/rgb/000.png").read_bytes()
    assert client.post(f"{BASE}/parts/from-history", json={"inspections": [99]}).json()["code"] == "no_inspection"


def test_a_trial_on_judged_parts(
    opened, run_folder: Path, other_run: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The serving model's limit lets everything through; the other one finds what people called defective."""
    jobs_in_this_process(monkeypatch)
    parts = {"chip": ("test/chip", "defect"), "dent": ("test/dent", "defect"), "one": ("test/good", "good")}
    with client_of(opened(run_folder, other_run)) as client:
        new_class(client)
        url = f"{BASE}/trials"
        assert "judge some" in client.post(url, json={"models": ["other/biscuit"]}).json()["detail"]
        for name, (folder, verdict) in {**parts, "trained": ("train/good", "good")}.items():
            (told,) = client.post(
                "/v1/classes/biscuit/inspections", files=upload(drawn / "biscuit" / folder, "000"), data={"part": name}
            ).json()["inspections"]
            client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": verdict, "kind": name})
        client.put("/v1/classes/biscuit/threshold", json={"reject_above": 1e6, **WHY})
        unknown = client.post(url, json={"models": ["none"]})
        assert "there are: other/biscuit" in unknown.json()["detail"] or "run/biscuit" in unknown.json()["detail"]
        number = client.post(url, json={"models": ["other/biscuit"]}).json()["id"]
        result = ended(client, number)["result"]
        assert (result["parts"], result["trained_on"], result["unusable"]) == (3, 1, [])
        now, other = result["models"]
        assert (now["serves"], now["reject_above"], now["found"]["hits"]) == (True, 1e6, 0)
        assert (other["serves"], other["found"]["count"], other["false_alarms"]["count"]) == (False, 2, 1)
        assert other["found"]["hits"] == result["disagreements"] - other["false_alarms"]["hits"] > 0
        assert other["found"]["low"] < other["found"]["value"] <= other["found"]["high"]
        flip = result["flips"][0]
        assert (flip["verdict"], flip["rejected"]) == ("defect", [False, True])
        for name in flip["pictures"]:
            shown = client.get(f"/v1/jobs/{number}/pictures/{name}")
            assert imagecodecs.jpeg_decode(shown.content).shape == (192, 192, 3)


@pytest.mark.slow
def test_a_taught_detector_becomes_a_package(empty, drawn: Path) -> None:
    pytest.importorskip("onnxscript")
    with client_of(empty()) as client:
        new_class(client)
        collect(client, drawn, *(f"{number:03d}" for number in range(6)))
        model = ended(client, asked(client, **FIRST))["model"]
        job = client.post(f"{BASE}/packages", json={"model": model, "runtime": "onnx"}).json()["id"]
        made = ended(client, job, 300)
        assert made["state"] == "done", made
        assert client.get(f"/v1/jobs/{job}/package").content[:2] == b"PK"
        loaded = client.post("/v1/classes/biscuit/models", json={"name": made["model"]}).json()
        assert loaded["engine"].startswith("ONNX Runtime")
        assert loaded["self_test"]["passed"]


def quickly(code: str) -> str:
    """With recipes that are fitted in seconds."""
    network = f'"recipe": "lite-residual", "settings": {[*TINY_NETWORK]!r}'
    first = f'"recipe": "patch-statistics", "settings": {TINY!r}'
    code = code.replace('"kind": "train", "step": "network"', f'"kind": "train", "step": "network", {network}')
    code = code.replace('{"kind": "train"}', f'{{"kind": "train", {first}}}')
    return code.replace('{"kind": "check"}', f'{{"kind": "check", {first}}}')


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_whole_way_as_the_docs_have_it(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs/station-api.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(code.splitlines()) < 40
    shutil.copytree(drawn / "biscuit/train/good", tmp_path / "parts")
    for kind in ("good", "chip"):
        shutil.copytree(drawn / "biscuit/test" / kind, tmp_path / "new" / kind)
    monkeypatch.chdir(tmp_path)
    with serving(data=tmp_path / "data") as served:
        values: dict = {}
        exec(quickly(code.replace("http://127.0.0.1:8765", served.address)), values)
        models = values["station"].get("/v1/models").json()["models"]
    found = {one["name"]: one["found"] for one in values["trial"]["result"]["models"]}
    assert {name.rpartition("-")[0] for name in found} == {"patch-statistics", "lite-residual"}
    assert all(one["count"] == 1 for one in found.values())
    assert {one["name"]: one["state"] for one in models} == {
        "patch-statistics-2": "serving",
        "lite-residual-3": "ready",
    }
