"""A station that is killed while it teaches: what was collected is there, and training goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from lessons import judge_defects
from recipes import TINY
from served import Served
from stations import until, upload

from trd.data.listing import list_class

BASE = "/v1/teaching/biscuit"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(None, tmp_path / "data")
    yield one
    if one.process is not None and one.process.poll() is None:
        one.kill()


def collect_until_it_dies(served: Served, drawn: Path, kept: list[str]) -> None:
    """Names that were acknowledged: pictures that differ by a byte behind their end, which no reader looks at."""
    (_, (_, rgb)), xyz = upload(drawn / "biscuit/train/good", "000")
    with httpx.Client(base_url=served.url, timeout=30) as client, contextlib.suppress(httpx.TransportError):
        for number in range(10_000):
            part = [("rgb", (f"{number}.png", rgb + bytes([number % 256, number // 256]))), xyz]
            answer = client.post(f"{BASE}/parts", files=part, data={"part": f"part-{number}"})
            if answer.status_code == 201:
                kept += [one["name"] for one in answer.json()["parts"] if one["state"] == "kept"]


def children(process: int) -> list[int]:
    """Linux's list of a process's children."""
    lists = Path(f"/proc/{process}/task").glob("*/children")  # of each of its threads
    return [int(number) for path in lists for number in path.read_text().split()]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_collecting_and_training_survive_a_kill(served: Served, drawn: Path, tmp_path: Path) -> None:
    kept: list[str] = []
    served.start("/healthz")
    with httpx.Client(base_url=served.url, timeout=30) as client:
        client.post("/v1/teaching", json={"name": "biscuit", "layout": "colour and 3D"})
    thread = threading.Thread(target=collect_until_it_dies, args=(served, drawn, kept))
    thread.start()
    until(lambda: len(kept) > 5, 60)
    served.kill()
    thread.join()
    served.start("/healthz")
    with httpx.Client(base_url=served.url, timeout=30) as client:
        there = [part["name"] for part in client.get(f"{BASE}/parts").json()["parts"]]
        assert set(kept) <= set(there)
        folder = Path(client.get(BASE).json()["folder"])
        assert len(list_class(folder, "", ("rgb", "xyz"), ("xyz",)).train) == len(there)
        for name in there:
            client.delete(f"{BASE}/parts/{name}")
        stems = [f"{number:03d}" for number in range(6)]
        assert client.post(f"{BASE}/parts", files=upload(drawn / "biscuit/train/good", *stems)).status_code == 201
        settings = [*TINY, "training.epochs=30"]
        job = {"kind": "train", "recipe": "lite-residual", "settings": settings}
        number = client.post(f"{BASE}/jobs", json=job).json()["id"]
        checkpoint = tmp_path / f"data/teach/biscuit/jobs/{number}/run/checkpoints/last.safetensors"
        until(checkpoint.exists, 120)
    (worker,) = children(served.process.pid)
    served.kill()
    until(lambda: not Path(f"/proc/{worker}").exists())  # it ends with the station
    served.start("/healthz")
    with httpx.Client(base_url=served.url, timeout=30) as client:
        told = until(lambda: (one := client.get(f"/v1/jobs/{number}").json())["state"] != "running" and one, 180)
        assert (told["state"], told["model"]) == ("done", f"lite-residual-{number}"), told
        assert "goes on after epoch" in told["log"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_lesson_goes_on_after_a_kill(run_folder: Path, labelled: Path, tmp_path: Path) -> None:
    served = Served(run_folder, tmp_path / "data")
    served.start()
    try:
        with httpx.Client(base_url=served.url, timeout=60) as client:
            judge_defects(client, labelled)
            number = client.post("/v1/classes/biscuit/lessons", json={}).json()["id"]
            until(lambda: client.get(f"/v1/jobs/{number}").json()["stage"], 120)
        (worker,) = children(served.process.pid)
        served.kill()
        until(lambda: not Path(f"/proc/{worker}").exists())
        folder = tmp_path / f"data/teach/biscuit/jobs/{number}"
        assert not (folder / "result.json").exists()  # it was killed in the middle
        served.start()
        with httpx.Client(base_url=served.url, timeout=60) as client:
            told = until(lambda: (one := client.get(f"/v1/jobs/{number}").json())["state"] != "running" and one, 180)
            assert told["state"] == "done", told
            (lesson,) = client.get("/v1/classes/biscuit/lessons").json()["lessons"]
        assert lesson["judgement"]["defects"] == 6
        assert lesson["state"] in ("taught", "refused")
        assert not (folder / "learned").exists()
    finally:
        if served.process.poll() is None:
            served.kill()
