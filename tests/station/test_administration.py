"""Tokens, settings, inputs and outputs, disk: by routes and by commands."""

import http.server
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from stations import client_of, until, upload
from typer.testing import CliRunner

from trd.cli import app
from trd.errors import DataError, OutputError
from trd_station import times
from trd_station.api.app import create_app
from trd_station.inputs.camera import CameraInput
from trd_station.local import ask, reachable
from trd_station.running import Attached, Place, attach, run
from trd_station.serve import _Server
from trd_station.settings import Settings
from trd_station.station import Station
from trd_station.tokens import Tokens

BASE = "/v1/classes/biscuit"


def called(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["station", *(str(word) for word in words)])
    assert result.exit_code == code, result.output + str(result.exception)
    return " ".join(result.output.split())


def texts(client: TestClient, kind: str) -> list[str]:
    return [one["text"] for one in client.get(f"/v1/events?kind={kind}").json()["events"]]


def test_tokens_are_made_and_taken_away(station: Station, client: TestClient) -> None:
    assert client.get("/v1/tokens").json() == {"tokens": []}
    for role in ("viewer", "engineer"):
        first = client.post("/v1/tokens", json={"name": "anna", "role": role})
        assert (first.status_code, first.json()["code"]) == (409, "conflict")  # it would lock everyone out
    anna = client.post("/v1/tokens", json={"name": "anna", "role": "admin"}).json()["token"]
    assert client.get("/v1/tokens").status_code == 401
    client.headers["Authorization"] = f"Bearer {anna}"
    assert client.post("/v1/tokens", json={"name": "anna", "role": "viewer"}).status_code == 409
    assert client.post("/v1/tokens", json={"name": "\n", "role": "viewer"}).status_code == 422
    line = client.post("/v1/tokens", json={"name": "line / 1", "role": "operator"}).json()["token"]
    (first, second) = client.get("/v1/tokens").json()["tokens"]
    assert (second["name"], second["role"], second["seen"]) == ("line / 1", "operator", None)
    assert first["seen"] >= first["made"]
    assert client.get("/v1/classes", headers={"Authorization": f"Bearer {line}"}).status_code == 200
    assert client.get("/v1/tokens").json()["tokens"][1]["seen"]
    assert client.delete("/v1/tokens", params={"name": "nobody"}).status_code == 404
    refused = client.delete("/v1/tokens", params={"name": "anna"})
    assert "the last admin's token" in refused.json()["detail"]
    left = client.delete("/v1/tokens", params={"name": "line / 1"}).json()["tokens"]
    assert [one["name"] for one in left] == ["anna"]
    assert client.get("/v1/classes", headers={"Authorization": f"Bearer {line}"}).status_code == 401
    until(lambda: texts(client, "token")[:1] == ["anna took away the token of line / 1"])


def test_when_a_token_was_used_outlives_the_station(opened, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    token = Tokens(tmp_path / "data").add("anna", "admin")
    station: Station = opened()
    with client_of(station) as client:
        client.get("/v1/classes", headers={"Authorization": f"Bearer {token}"})
    station.close()
    seen = Tokens(tmp_path / "data").seen("anna")
    assert seen is not None
    assert times.now() - seen < 60_000
    assert f"anna admin made {times.to_iso(seen)[:10]}" in (said := called("tokens", tmp_path / "data"))
    assert f"last used {times.to_iso(seen)}" in said
    (tmp_path / "data/tokens.json").write_text(
        json.dumps({"tokens": [{"sha256": "0" * 64, "name": "old", "role": "viewer"}]})
    )
    assert "old viewer made - last used -" in called("tokens", tmp_path / "data")  # of an earlier version


def test_uses_of_a_token_are_written_a_minute_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10**12
    monkeypatch.setattr(times, "now", lambda: now)
    tokens = Tokens(tmp_path)
    token = tokens.add("anna", "admin")

    def used(at: int) -> int | None:
        nonlocal now
        now = at
        tokens.caller(token)
        tokens.save_seen()
        return Tokens(tmp_path).seen("anna")

    first = now + 1
    assert [used(first), used(first + 59_000), used(first + 60_000)] == [first, first, first + 60_000]
    assert tokens.seen("anna") == first + 60_000


def test_sign_ins_are_noted(opened, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    token = Tokens(tmp_path / "data").add("anna", "admin")
    with client_of(opened()) as client:
        for _ in range(3):
            assert client.post("/v1/session", json={"token": "wrong"}).status_code == 401
        client.post("/v1/session", json={"token": token})
        until(lambda: len(texts(client, "sign_in")) == 2)
        assert texts(client, "sign_in") == [
            "anna (admin) signed in from testclient",
            "a token was refused at the sign-in, from testclient",  # once a minute
        ]


def test_settings_change_while_it_runs(opened, test_parts: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("trd_station.station.STATE_EVERY", 0.05)
    station: Station = opened(audit_rate=0.0)
    files = upload(test_parts / "good", "000")

    def sent(client: TestClient) -> dict:
        return client.post(f"{BASE}/inspections", files=files).json()["inspections"][0]

    with client_of(station) as client:
        before = client.get("/v1/administration").json()["settings"]
        assert before == {"audit_rate": 0.0, "keep_inputs": "all", "keep_days": 90.0, "keep_bytes": 50 * 10**9}
        assert not sent(client)["sampled"]
        body = {"audit_rate": 1, "keep_inputs": "none", "keep_days": None}
        after = client.put("/v1/administration/settings", json=body).json()
        assert after == {**before, "audit_rate": 1.0, "keep_inputs": "none"}
        part = sent(client)
        assert (part["sampled"], part["inputs"]) == (True, {})
        assert client.get("/v1/settings").json()["audit_rate"] == 1
        for wrong in ({"audit_rate": 2}, {"keep_days": -1}, {"keep_inputs": "some"}, {"capacity": 5}):
            assert client.put("/v1/administration/settings", json=wrong).status_code == 422
        assert "keep-days 30" in called("settings", tmp_path / "data", "--keep-days", "30", "--keep-gb", "2.5")
        until(lambda: client.get("/v1/settings").json()["keep_days"] == 30)
        assert texts(client, "settings") == [
            "settings were changed: keep_days 90.0 -> 30.0, keep_bytes 50000000000 -> 2500000000",
            "settings were changed by local: audit_rate 0.0 -> 1.0, keep_inputs all -> none",
        ]
        (tmp_path / "data/settings.json").write_text('{"audit_rate": "all"}')
        until(lambda: "cannot be read as the station's settings" in texts(client, "settings")[0])
        assert client.get("/v1/settings").json()["audit_rate"] == 1
    assert "audit_rate" in str(CliRunner().invoke(app, ["station", "settings", str(tmp_path / "data")]).exception)
    station.close()
    (tmp_path / "data/settings.json").write_text('{"audit_rate": 0.5, "keep_days": 30}')
    again: Station = opened(audit_rate=0.25, keep_days=60.0, given=("keep_days",))
    assert (again.settings.audit_rate, again.settings.keep_days) == (0.5, 60)  # what is given sets it anew
    assert json.loads((tmp_path / "data/settings.json").read_text()) == {"audit_rate": 0.5, "keep_days": 60.0}


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.received.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[http.server.HTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.received, server.status = [], 204
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_inputs_and_outputs_say_how_they_are(
    station: Station, client: TestClient, test_parts: Path, tmp_path: Path, drawn: Path, receiver
) -> None:
    (tmp_path / "in" / "rgb").mkdir(parents=True)
    url = f"http://127.0.0.1:{receiver.server_address[1]}/results"
    attached = Attached(
        folders=(f"biscuit={tmp_path / 'in'}",), replays=(f"biscuit={drawn / 'biscuit'}",), every=60, webhooks=(url,)
    )

    def told() -> dict:
        return client.get("/v1/administration").json()

    def tested(kind: str, number: int) -> dict:
        return client.post(f"/v1/administration/{kind}/{number}/test").json()

    with ExitStack() as stack:
        attach(station, attached, stack)
        until(lambda: told()["inputs"][0]["state"] == "failing")
        assert "make a folder for each of rgb, xyz" in told()["inputs"][0]["fault"]
        assert tested("inputs", 0) == {"passed": False, "text": told()["inputs"][0]["fault"]}
        (tmp_path / "in" / "xyz").mkdir()
        until(lambda: told()["inputs"][0]["state"] == "working")
        assert tested("inputs", 0)["text"].startswith("files: 0 in rgb, 0 in xyz; a file rests ")
        assert tested("inputs", 1)["text"] == "5 parts, one every 60 s"
        until(lambda: told()["outputs"][0]["at"])  # the replay's first part
        assert told()["outputs"][0] | {"at": None} == {
            **{"name": "webhook", "where": url, "state": "working", "fault": "", "at": None, "waiting": 0}
        }
        assert tested("outputs", 0) == {"passed": True, "text": f"{url} took a test message (204)"}
        assert json.loads(receiver.received[-1]) == {"test": True}
        receiver.status = 500
        assert "HTTP Error 500" in tested("outputs", 0)["text"]
        client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000"))
        until(lambda: told()["outputs"][0]["state"] == "failing")
        assert (told()["outputs"][0]["waiting"], "does not receive" in told()["outputs"][0]["fault"]) == (1, True)
        missing = client.post("/v1/administration/outputs/1/test")
        assert (missing.status_code, missing.json()["code"]) == (404, "no_attachment")
        disk = told()["disk"]
        assert 0 < disk["free_bytes"] < disk["total_bytes"]
        assert disk["database_bytes"] > 10_000


def test_a_camera_tells_of_its_last_frame(station: Station) -> None:
    source = CameraInput(station, "biscuit", SimpleNamespace(grab=lambda: None))
    with pytest.raises(DataError, match="no frame has come"):
        source.test()
    source._count, source._last = 3, time.monotonic()
    assert source.test().startswith("3 frames; the last one 0.")


def test_outputs_of_machines_are_tried(station: Station, client: TestClient, broker) -> None:
    pytest.importorskip("paho.mqtt.client")
    with ExitStack() as stack:
        attach(station, Attached(mqtt=broker.address), stack)

        def tested() -> dict:
            return client.post("/v1/administration/outputs/0/test").json()

        until(lambda: tested()["passed"])
        assert tested()["text"] == "the broker has acknowledged a message to line/test"
        assert client.get("/v1/administration").json()["outputs"][0]["where"] == broker.address
        broker.stop()
        until(lambda: not tested()["passed"])
        assert "the broker is not connected" in tested()["text"]


def test_commands_reach_the_station_that_runs(tmp_path: Path, run_folder: Path, monkeypatch) -> None:
    """Also one that asks for tokens, and one that answers to others; they leave no token behind."""
    data = tmp_path / "data"
    data.mkdir()
    Tokens(data).add("anna", "admin")
    (tmp_path / "in" / "rgb").mkdir(parents=True)
    (tmp_path / "in" / "xyz").mkdir()
    with pytest.raises(OutputError, match="no station runs in"):
        ask(data, "GET", "/v1/administration")
    servers: list[_Server] = []
    started = _Server.startup

    async def noted(server: _Server, sockets=None) -> None:
        await started(server, sockets)
        servers.append(server)

    monkeypatch.setattr(_Server, "startup", noted)
    attached = Attached(folders=(f"biscuit={tmp_path / 'in'}",))
    place = Place("0.0.0.0", 0, prefix="/trd")
    settings = Settings(data, device="cpu")
    thread = threading.Thread(target=run, args=(settings, [str(run_folder)], place, attached, lambda url: None))
    thread.start()
    try:
        until(lambda: servers)
        assert (data / "running.json").stat().st_mode & 0o077 == 0
        said = called("status", data)
        assert "last backup -" in said
        assert f"input folder of 'biscuit' ({tmp_path / 'in'}): working" in said
        assert called("test", data, "folder of 'biscuit'").startswith("files: 0 in rgb")
        unknown = CliRunner().invoke(app, ["station", "test", str(data), "mqtt"])
        assert "no input or output 'mqtt'; there are: folder of 'biscuit'" in str(unknown.exception)
        with pytest.raises(OutputError, match="the station says: there is no token of 'nobody'"):
            ask(data, "DELETE", "/v1/tokens?name=nobody")
        (tmp_path / "in" / "rgb").rmdir()
        assert "make a folder for each" in called("test", data, "folder of 'biscuit'", code=1)
    finally:
        servers[0].should_exit = True
        thread.join(30)
    assert not (data / "running.json").exists()
    assert [caller.name for caller in Tokens(data).callers] == ["anna"]
    (data / "running.json").write_text('{"url": "http://127.0.0.1:9", "token": "x"}')  # of one that was killed
    with pytest.raises(OutputError, match="does not answer at"):
        ask(data, "GET", "/v1/administration")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not answer at"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", "the station says: HTTP Error 404"),
    ],
)
def test_another_program_at_the_port_of_one_that_was_killed(tmp_path: Path, answer: bytes, words: str) -> None:
    class Other(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.wfile.write(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        (tmp_path / "running.json").write_text(json.dumps({"url": url, "token": "x"}))
        with pytest.raises(OutputError, match=words):
            ask(tmp_path, "GET", "/v1/administration")


def test_the_token_of_the_commands_makes_no_station_with_tokens(station: Station) -> None:
    with (
        reachable(station.settings.data, station.tokens, "127.0.0.1", 1),
        TestClient(create_app(station), base_url="http://127.0.0.1") as client,
    ):
        assert client.get("/v1/session").json()["tokens"] is False
        assert client.get("/v1/administration").status_code == 200
