"""Real answers of every JSON route are what the OpenAPI document says of them."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import BaseModel
from stations import client_of, upload

from trd_station.api.answers import administration, lessons, models, operation, parts, teaching
from trd_station.api.app import MODULES
from trd_station.attachments import AttachedState, Attachment
from trd_station.station import Station
from trd_station.tokens import Tokens

BASE = "/v1/classes/{class_name}"
PART = "/v1/inspections/{number}"
OF = {"class_name": "biscuit", "number": 1, "name": "fused"}
ANSWERS = (parts, models, operation, administration, teaching, lessons)
KNOWN = {name: one for module in ANSWERS for name, one in vars(module).items()}
WHY = {"json": {"reason": "to see"}}


def described(document: Mapping[str, Any]) -> dict[tuple[str, str, str], str]:
    """(method, path, status) of what is answered as JSON -> name of its model; a schema that names none fails."""
    return {
        (method.upper(), path, status): content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for path, ways in document["paths"].items()
        for method, way in ways.items()
        for status, answer in way["responses"].items()
        if "application/json" in (content := answer.get("content", {}))
    }


class Asked:
    """Calls routes and holds their answers to the models."""

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self.station: Station = client.app.state.station
        self.left = described(client.get("/v1/openapi.json").json())
        self._models = dict(self.left)

    def __call__(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        names = {**OF, **more.pop("of", {})}
        answer: Response = self._client.request(method, path.format(**names), **more)
        assert answer.status_code == status, answer.text
        model: type[BaseModel] = KNOWN[self._models[method, path, str(status)]]
        told = model.model_validate_json(answer.content, strict=True)
        assert told.model_dump(mode="json", by_alias=True) == answer.json()  # neither more nor less
        self.left.pop((method, path, str(status)), None)
        return answer.json()


@pytest.fixture
def asked(opened, run_folder: Path, other_run: Path, tmp_path: Path):
    (tmp_path / "data").mkdir()
    token = Tokens(tmp_path / "data").add("anna", "admin")
    station = opened(run_folder, other_run, audit_rate=1.0)
    (station.settings.models / "broken").mkdir(parents=True)
    for file in (run_folder / "biscuit").iterdir():
        data = file.read_bytes()
        (station.settings.models / "broken" / file.name).write_bytes(
            data[:40] if file.suffix == ".safetensors" else data
        )
    with client_of(station) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        one = Asked(client)
        one("POST", "/v1/session", json={"token": token})
        yield one


def test_answers_are_as_described(asked: Asked, package: bytes, test_parts: Path) -> None:
    of_parts(asked, test_parts)
    of_limits(asked)
    of_models(asked, package)
    of_the_station(asked)
    of_teaching(asked, test_parts)
    of_lessons(asked, test_parts)
    assert not asked.left


def of_parts(ask: Asked, test_parts: Path) -> None:
    good = {"files": upload(test_parts / "good", "000", "001"), "headers": {"Idempotency-Key": "a"}}
    ask("POST", f"{BASE}/inspections", 201, **good)
    ask("POST", f"{BASE}/inspections", 200, **good)
    broken = [(name, (path, data[:200])) for name, (path, data) in upload(test_parts / "chip", "000")]
    (invalid,) = ask("POST", f"{BASE}/inspections", 201, files=broken)["inspections"]
    (chip,) = ask("POST", f"{BASE}/inspections", 201, files=upload(test_parts / "chip", "000"))["inspections"]
    assert (invalid["decision"], chip["decision"]) == ("invalid", "reject")
    mask = np.zeros((chip["frame"]["height"], chip["frame"]["width"]), np.uint8)
    mask[5:9] = 255
    drawn = base64.b64encode(imagecodecs.png_encode(mask)).decode()
    ask("GET", "/v1/review")
    for number in (1, 2):
        ask("POST", f"{PART}/verdicts", 201, of={"number": number}, json={"verdict": "good"})
    defect = {"verdict": "defect", "kind": "chip", "reason": "seen", "mask": drawn}
    ask("POST", f"{PART}/verdicts", 201, of={"number": chip["id"]}, json=defect)
    for path in ("/v1/inspections", "/v1/inspections/count", PART, f"{PART}/verdicts", f"{BASE}/kinds"):
        ask("GET", path)
    assert ask("GET", PART, of={"number": chip["id"]})["verdicts"]
    ask("GET", f"{PART}/under", of={"number": chip["id"]}, params={"reject_above": 1e6})
    assert ask("GET", f"{PART}/nearest-good", of={"number": chip["id"]})["inspection"]["verdict"] == "good"
    assert ask("GET", f"{PART}/maps/{{name}}/contours", of={"number": chip["id"]})["contours"]


def of_limits(ask: Asked) -> None:
    for path in ("threshold", "threshold/versions", "threshold/histogram", "estimates", "recalibration"):
        ask("GET", f"{BASE}/{path}")
    seen = ask("GET", f"{BASE}/threshold/what-if", params={"reject_above": 1e6, "review_above": 1e5})
    assert seen["flips"]
    assert seen["changes"]
    ask("PUT", f"{BASE}/threshold", 201, json={"reject_above": 1e6, "reason": "to see"})
    ask("POST", f"{BASE}/recalibration", 201, json={"reason": "to see"})
    ask("POST", f"{BASE}/threshold/versions/{{number}}/activate", **WHY)


def of_models(ask: Asked, package: bytes) -> None:
    octets = {"content-type": "application/octet-stream"}
    other = ask("POST", f"{BASE}/models/package", 201, content=package, headers=octets)
    ask("POST", f"{BASE}/models", 201, json={"name": "other/biscuit"})
    ask._client.post(f"{BASE}/models".format(**OF), json={"name": "broken"})
    assert "failed" in [one["state"] for one in ask("GET", "/v1/models")["models"]]
    ask("GET", "/v1/models/{number}")
    ask("POST", "/v1/models/{number}/self-test")
    ask("POST", "/v1/models/{number}/switch", of={"number": other["id"]}, **WHY)
    ask("POST", f"{BASE}/models/roll-back", **WHY)
    for method, body in (("GET", {}), ("PUT", {"json": {"model": other["id"]}}), ("DELETE", {})):
        ask(method, f"{BASE}/shadow", **body)


def of_the_station(ask: Asked) -> None:
    for path in ("/healthz", "/readyz", "/v1/session", "/v1/settings", "/v1/classes", BASE, "/v1/stats"):
        ask("GET", path)
    ask.station.attachments.inputs.append(Attachment("camera", "0", lambda: AttachedState("ended"), lambda: "dark"))
    assert ask("GET", "/v1/administration")["inputs"]
    ask("PUT", "/v1/administration/settings", json={"keep_days": 30})
    ask("POST", "/v1/administration/{kind}/{number}/test", of={"kind": "inputs", "number": 0})
    ask("POST", "/v1/tokens", 201, json={"name": "line", "role": "operator"})
    assert ask("GET", "/v1/tokens")["tokens"]
    ask("DELETE", "/v1/tokens", params={"name": "line"})
    assert ask("GET", f"{BASE}/watch")["streams"]
    assert ask("GET", f"{BASE}/watch/{{name}}", of={"name": "measured"})["points"]
    ask("POST", f"{BASE}/watch/restart", **WHY)
    assert ask("GET", "/v1/events")["events"]
    ask("POST", "/v1/events/{number}/acknowledge", json={"cause": "to see"})
    for path in (f"{BASE}/alarm-rules", "/v1/alarm-rules"):
        ask("PUT", path, json={**ask("GET", path), "reason": "to see"})


def of_teaching(ask: Asked, test_parts: Path) -> None:
    taught = "/v1/teaching/{class_name}"
    ask("POST", "/v1/teaching", 201, json={"name": "biscuit", "layout": "colour and 3D"})
    ask("POST", f"{taught}/parts", 201, files=upload(test_parts / "good", "000", "001"))
    ask("POST", f"{taught}/parts/from-history", 201, json={"inspections": [1, 2]})
    del ask.left["POST", f"{taught}/parts/from-camera", "201"]  # tests/station/test_teaching.py has a camera
    ask("PUT", f"{taught}/region", json={"inspect": [[[0, 0], [190, 0], [190, 190]]]})
    ask("PUT", f"{taught}/camera", json={"fx": 600.0, "fy": 600.0, "cx": 95.5, "cy": 95.5})
    job = ask("POST", f"{taught}/jobs", 201, json={"kind": "train", "step": "network"})
    for path in ("/v1/teaching", taught, f"{taught}/parts", f"{taught}/jobs"):
        ask("GET", path)
    ask("GET", "/v1/jobs/{number}", of={"number": job["id"]})
    ask("POST", "/v1/jobs/{number}/cancel", of={"number": job["id"]})
    ask("POST", f"{taught}/trials", 201, json={"models": ["other/biscuit"]})
    ask("POST", f"{taught}/packages", 201, json={"model": "other/biscuit", "runtime": "onnx"})
    ask("DELETE", f"{taught}/parts/{{name}}", of={"name": "000"})


def of_lessons(ask: Asked, test_parts: Path) -> None:
    """Jobs wait here; tests/station/test_lessons.py has lessons that end."""
    for kind, stem in (("good", "000"), ("good", "001"), ("chip", "000"), ("dent", "000"), ("stain", "000")):
        files = upload(test_parts / kind, stem)
        (part,) = ask("POST", f"{BASE}/inspections", 201, files=files)["inspections"]
        ask("POST", f"{PART}/verdicts", 201, of={"number": part["id"]}, json={"verdict": "defect"})
    assert ask("GET", f"{BASE}/lessons/proposal")["parts"]
    job = ask("POST", f"{BASE}/lessons", 201, json={"leave_out": []})
    serving, queue = ask.station.shelf.serving("biscuit"), ask.station.teaching.queue
    asked, share = queue.job(job["id"]), {"auroc": 0.5, "detected": 1}
    alarms, interval = {"alarms": 5, "detected": 0, "auroc": None}, {"value": 0.1, "low": None, "high": None}
    result = {
        **{"refused": False, "detector": serving.version.detector, "reasons": []},
        "judgement": {
            **{"defects": 5, "good": 4, "before": share, "after": share, "gain": interval},
            **{"unlabelled": {"chip": 0.0}, "reasons": ["so"]},
        },
        "good_judgement": {
            **{"good": 5, "calibration": 4, "defects": 0, "before": alarms, "after": alarms, "fall": interval},
            **{"auroc_change": None, "reasons": []},
        },
        **{"places": {str(part["id"]): [0.1, 0.2]}, "unseen": [part["id"]], "above": [], "doubtful": [part["id"]]},
    }
    ask("POST", "/v1/jobs/{number}/cancel", of={"number": job["id"]})
    queue._jobs[job["id"]] = asked.changed(state="done", result=result)  # taught what serves
    (lesson,) = ask("GET", f"{BASE}/lessons")["lessons"]
    assert (lesson["state"], lesson["gain"]["audited"]) == ("serving", 5)
    assert ask("GET", "/v1/lessons/{number}", of={"number": job["id"]})["parts"]
    ask("POST", "/v1/lessons/{number}/gain", 201, of={"number": job["id"]})
    ask("POST", "/v1/lessons/{number}/take-back", of={"number": job["id"]}, **WHY)


def test_answers_are_described_but_not_validated_again() -> None:
    """A list of 500 inspections would be checked field by field."""
    for module in MODULES:
        for route in module.routes.routes:
            assert isinstance(route, APIRoute)
            assert route.response_model in (None, dict[str, Any]), route.path
