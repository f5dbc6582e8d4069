"""A station that is killed loses nothing that it has acknowledged, begins again in seconds, and stops when told."""

import contextlib
import json
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from served import Served
from stations import client_of, until, upload
from taught import FIRST, asked, collect, new_class
from typer.testing import CliRunner

from trd.cli import app
from trd_station.station import Station


@pytest.fixture
def served(run_folder: Path, tmp_path: Path):
    one = Served(run_folder, tmp_path / "data")
    yield one
    if one.process is not None and one.process.poll() is None:
        one.kill()


def send_until_it_dies(served: Served, files: list, name: str, found: list[dict], verdicts: list[dict]) -> None:
    """Parts and verdicts that were acknowledged."""
    with httpx.Client(base_url=served.url, timeout=30) as client, contextlib.suppress(httpx.TransportError):
        for number in range(10_000):
            part = {"part": f"{name}-{number}"}
            answer = client.post("/v1/classes/biscuit/inspections", files=files, data=part)
            if answer.status_code != 201:
                continue
            found += answer.json()["inspections"]
            body = {"verdict": "good", "reason": f"{name}-{number}"}
            given = client.post(f"/v1/inspections/{found[-1]['id']}/verdicts", json=body)
            if given.status_code == 201:
                verdicts.append(given.json())


def until_more(found: list[dict]) -> None:
    before = len(found)
    until(lambda: len(found) > before)


def reconciled(data: Path) -> str:
    result = CliRunner().invoke(app, ["station", "reconcile", str(data), "--verify"])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def told_to_stop(served: Served, client: httpx.Client, files: list) -> int:
    """It finishes its work although a stream is open; the last part's identifier."""
    with client.stream("GET", "/v1/live") as live:
        lines = live.iter_lines()
        assert next(lines) == "event: hello"
        told = client.post("/v1/classes/biscuit/inspections", files=files).json()["inspections"][0]
        messages = []
        for line in lines:
            messages.append(line)
            if line.startswith("data:") and len(messages) > 2 and messages[-2] == f"id: {told['id']}":
                break
        assert json.loads(messages[-1].removeprefix("data: ")) == told
        assert messages[-3] == "event: inspection"
        assert served.kill(signal.SIGTERM) == 0
    return told["id"]


@pytest.mark.parametrize("rounds", [1, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
def test_what_was_acknowledged_is_there_after_a_kill(
    served: Served, tmp_path: Path, test_parts: Path, rounds: int
) -> None:
    files = upload(test_parts / "good", "000")
    found: list[dict] = []
    verdicts: list[dict] = []
    starts = []
    chance = random.Random(1)
    for moment in range(rounds):
        starts.append(served.start())
        threads = [
            threading.Thread(target=send_until_it_dies, args=(served, files, f"{moment}-{n}", found, verdicts))
            for n in range(3)
        ]
        for thread in threads:
            thread.start()
        until_more(found)
        time.sleep(chance.uniform(0, 0.5))
        served.kill()
        for thread in threads:
            thread.join()
    told = reconciled(tmp_path / "data")
    assert " 0 inspections whose" in told
    assert "0 files are damaged" in told
    assert " 0 that no row names" in reconciled(tmp_path / "data")
    served.start()
    with httpx.Client(base_url=served.url, timeout=30) as client:
        for one in found:
            stored = client.get(f"/v1/inspections/{one['id']}").json()
            assert (stored["part"], stored["score"]) == (one["part"], one["score"])
        for one in verdicts:
            given = client.get(f"/v1/inspections/{one['inspection']}/verdicts").json()["verdicts"]
            assert one in given
        assert client.get(f"/v1/inspections/{found[-1]['id']}/maps/fused.npy").status_code == 200
        last = told_to_stop(served, client, files)
    with sqlite3.connect(tmp_path / "data" / "station.db") as connection:
        events = connection.execute("select kind from event where kind in ('started', 'stopped') order by id")
        kinds = [kind for (kind,) in events]
        seen = connection.execute("select max(last_id) from watch_state").fetchone()
    assert kinds == [*["started"] * (rounds + 1), "stopped"]
    assert seen == (last,)  # what the watch knew was saved
    assert max(starts) < 60, starts
    print(json.dumps({"kills": rounds, "parts": len(found), "verdicts": len(verdicts), "starts_s": sorted(starts)}))


def test_what_a_killed_station_was_writing_is_deleted_at_the_next_start(
    empty: Callable[[], Station], drawn: Path, tmp_path: Path
) -> None:
    with client_of(empty()) as client:
        new_class(client)
        collect(client, drawn, "000", "001")
        asked(client, **{**FIRST, "kind": "check"})
    data, scrap = tmp_path / "data", ".part.trd-01234567.json"
    station = empty()
    station.teaching.cancel(1, "anna")
    places = ["files/20260101", "files/20260102", "teach/biscuit", "teach/biscuit/parts", "teach/biscuit/jobs/1"]
    left = [data / place / scrap for place in places] + [data / "models/.upload.trd-01234567.trdm"]
    exporting = data / "models/.part.trdm.trd-01234567.trdm"  # of another program
    for path in (*left, exporting):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    empty()
    assert [path for path in left if path.exists()] == []
    assert exporting.exists()
