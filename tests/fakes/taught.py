"""An empty station that is taught: what its tests send and wait for."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient
from stations import until, upload

BASE = "/v1/teaching/biscuit"
TINY = ["frame.size=64", "scoring.stand_ins=false"]
FIRST = {"kind": "train", "recipe": "patch-statistics", "settings": TINY}
WHY = {"reason": "to see"}


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
