"""The commands: token, reconcile, export, the demo with a station, and what is told when an extra is missing."""

import json
import logging
import shutil
import subprocess
import sys
import threading
import time
import webbrowser
from pathlib import Path

import httpx
import imagecodecs
import numpy as np
import pytest
from stations import client_of, upload
from typer.testing import CliRunner

import trd
from trd.cli import app
from trd.cli.training import demo
from trd.config import load_recipe
from trd.data.listing import list_class
from trd.errors import MissingExtraError, RecipeError
from trd_station import serve
from trd_station.api import app as application
from trd_station.export import entries
from trd_station.logs import LOGGERS, log_as_json
from trd_station.outputs.opcua_security import OpcUaSecurity
from trd_station.running import Attached
from trd_station.settings import Settings

BASE = "/v1/classes/biscuit"


def called(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def test_nothing_of_the_station_is_imported_by_other_commands() -> None:
    program = (
        "import sys, trd, trd.cli\n"
        "heavy = ('torch', 'fastapi', 'sqlalchemy', 'alembic', 'uvicorn', 'prometheus_client', 'paho', 'asyncua')\n"
        "print([name for name in sys.modules if name.split('.')[0] in heavy or name.startswith('trd_station')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "['trd_station', 'trd_station.settings', 'trd_station.station_commands', 'trd_station.commands']"
    )


def test_a_missing_extra_is_named_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    result = CliRunner().invoke(app, ["serve", str(tmp_path)])
    assert isinstance(result.exception, MissingExtraError)
    assert "pip install '.[serve]'" in str(result.exception)


def test_a_log_of_json_lines(capfd: pytest.CaptureFixture[str]) -> None:
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(one, one.propagate, one.level, list(one.handlers)) for one in loggers]
    try:
        log_as_json()
        logging.getLogger("trd").warning("part %s is late", "7")
        try:
            raise ValueError("odd")
        except ValueError:
            logging.getLogger("trd").exception("a request failed")
    finally:
        for one, propagate, level, handlers in before:
            one.propagate, one.handlers[:] = propagate, handlers
            one.setLevel(level)
    first, second = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (first["level"], first["message"]) == ("warning", "part 7 is late")
    assert first["at"].endswith("Z")
    assert "ValueError: odd" in second["error"]


def test_tokens_by_command(tmp_path: Path) -> None:
    token = called("station", "token", tmp_path, "--name", "anna", "--role", "engineer").splitlines()[0]
    assert token.startswith("trd_")
    assert "anna" in called("station", "token", tmp_path, "--name", "anna", "--remove")


def test_another_address_is_refused_without_token(run_folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["serve", str(run_folder), "--data", str(tmp_path), "--host", "0.0.0.0"])
    assert isinstance(result.exception, RecipeError)
    assert "trd station token" in str(result.exception)


def test_options_reach_the_station(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[Settings] = []
    secured: list[OpcUaSecurity] = []
    settled: list[float | None] = []

    def run(settings: Settings, _runs: object, _place: object, attached: Attached, _ready: object) -> None:
        given.append(settings)
        secured.append(attached.security)
        settled.append(attached.settle)

    monkeypatch.setattr("trd_station.running.run", run)
    called("serve", "x", "--data", tmp_path, "--max-model-gb", "0.5", "--keep-gb", "3", "--opcua-cert", "c")
    called("serve", "x", "--data", tmp_path, "--opcua-key", "k", "--opcua-open", "--settle", "7.5")
    assert settled == [None, 7.5]
    assert secured == [OpcUaSecurity(Path("c")), OpcUaSecurity(None, Path("k"), True)]
    assert [(one.max_model_bytes, one.keep_bytes) for one in given] == [
        (500_000_000, 3_000_000_000),
        (2 * 10**9, 50 * 10**9),
    ]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, run_folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "alembic", None)
    result = CliRunner().invoke(app, ["serve", str(run_folder)])
    assert "pip install '.[serve]'" in str(result.exception)


def judged(client, files, verdict: str, **more: str) -> dict:
    (told,) = client.post(f"{BASE}/inspections", files=files).json()["inspections"]
    answer = client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": verdict, **more})
    assert answer.status_code == 201
    return told


def test_judged_parts_train_a_detector(opened, run_folder: Path, test_parts: Path, drawn: Path, tmp_path: Path) -> None:
    """Exported, trained on and evaluated: the loop is closed."""
    import base64
    import io
    import zipfile

    station = opened()
    drawn_mask = np.zeros((192, 192), np.uint8)
    drawn_mask[70:90, 70:90] = 255
    mask = base64.b64encode(imagecodecs.png_encode(drawn_mask)).decode()
    train = drawn / "biscuit/train/good"
    with client_of(station) as client:
        for number in range(6):
            judged(client, upload(train, f"{number:03d}"), "good")
        judged(client, upload(test_parts / "chip", "000"), "defect", kind="chip / rim", mask=mask)
        judged(client, upload(test_parts / "dent", "000"), "defect", kind="chip / rim")
        judged(client, upload(test_parts / "stain", "000"), "defect", kind="OK")
        judged(client, upload(test_parts / "stain", "000"), "unsure")
        empty = client.get(f"{BASE}/export.zip?since=2100-01-01T00:00:00Z")
        assert "no part of 'biscuit'" in empty.json()["detail"]
        packed = zipfile.ZipFile(io.BytesIO(client.get(f"{BASE}/export.zip").content))
        told = {one.place: one.read() for one in entries(station, "biscuit", ("good", "defect"))}
    assert {name: packed.read(name) for name in packed.namelist()} == told
    station.close()
    out = tmp_path / "parts"
    called("station", "export", tmp_path / "data", run_folder, "--class", "biscuit", "--out", out)
    files = list_class(out, "biscuit", ("rgb", "xyz"), ("xyz",))
    assert len(files.train) == 5  # every fifth is for testing
    assert {one.defect: one.mask is not None for one in files.test} == {
        "good": False,
        "chip_rim": True,
        "chip_rim_unmarked": False,
        "OK_part_unmarked": False,
    }
    (marked,) = [one for one in files.test if one.mask]
    np.testing.assert_array_equal(imagecodecs.png_decode(marked.mask.read_bytes()), drawn_mask)
    recipe = load_recipe("patch-statistics", ["frame.size=64", "scoring.stand_ins=false"])
    assert trd.fit(out, tmp_path / "again", recipe, device="cpu")["biscuit"].calibration.good_scores


def test_the_page_is_served_with_a_strict_policy(opened, tmp_path: Path, monkeypatch) -> None:
    page = tmp_path / "page"
    (page / "js").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>TRD</title>")
    (page / "js/main.js").write_text("export {};")
    monkeypatch.setattr(application, "PAGE", page)
    with client_of(opened()) as client:
        answer = client.get("/")
        assert "<title>TRD</title>" in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert answer.headers["cache-control"] == "no-cache"
        script = client.get("/js/main.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert client.get("/js/main.js", headers={"If-None-Match": script.headers["etag"]}).status_code == 304
        missing = client.get("/v1/nothing")
        assert (missing.status_code, missing.json()["code"]) == (404, "no_route")


def test_the_demo_leads_to_the_line(tmp_path: Path, monkeypatch, drawn: Path, run_folder: Path) -> None:
    """Teaching is tested elsewhere: here a finished detector stands in for it."""
    (tmp_path / "data").symlink_to(drawn)
    opened: list[str] = []
    servers: list[serve._Server] = []
    started = serve._Server.startup

    async def noted(server, sockets=None):
        servers.append(server)
        await started(server, sockets)

    monkeypatch.setattr(serve._Server, "startup", noted)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr("trd.data.demo.draw_demo", lambda *_, **__: None)
    thread = threading.Thread(target=demo, args=(tmp_path, 0, True, 0, True))
    thread.start()
    end = time.monotonic() + 60
    while time.monotonic() < end and not opened:
        time.sleep(0.05)
    with httpx.Client(base_url=opened[0]) as client:
        assert client.get("/v1/classes").json() == {"classes": []}
        client.post("/v1/teaching", json={"name": "biscuit", "layout": "colour and 3D"})
        shutil.copytree(run_folder / "biscuit", tmp_path / "station/models/taught")
        model = client.post("/v1/classes/biscuit/models", json={"name": "taught"}).json()["id"]
        client.post(f"/v1/models/{model}/switch", json={"reason": "taught"})
        while time.monotonic() < end and not client.get("/v1/inspections").json()["inspections"]:
            time.sleep(0.05)
        (told, *_) = client.get("/v1/inspections").json()["inspections"]
        assert told["origin"] == "replay"
        assert client.get("/readyz").status_code == 200
    servers[0].should_exit = True
    thread.join(60)
    assert not thread.is_alive()
