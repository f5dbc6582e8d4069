"""Classes of any name: in addresses of routes and topics, and those that cannot be one."""

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from stations import client_of, until, upload

from trd.errors import CheckpointError, RecipeError
from trd_station.outputs.mqtt import Mqtt
from trd_station.running import Attached, attach
from trd_station.shelf.discovery import detectors_at
from trd_station.station import Station

NAME = "gear #2+a 5%?&ü"  # not %25: the test client decodes twice
BASE = f"/v1/classes/{quote(NAME, safe='')}"


def test_a_class_of_any_name_is_served(opened: Callable[..., Station], run_folder: Path, test_parts: Path) -> None:
    station = opened(f"{NAME}={run_folder}", audit_rate=1.0)
    with client_of(station) as client:
        sent = client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000"))
        assert sent.status_code == 201, sent.text
        (part,) = sent.json()["inspections"]
        assert part["class"] == NAME
        for path in ("", "/threshold", "/threshold/versions", "/watch", "/kinds"):
            assert client.get(BASE + path).status_code == 200, path
        for path in ("inspections", "stats", "events", "models", "review", "inspections.csv"):
            answer = client.get(f"/v1/{path}", params={"class": NAME})
            assert answer.status_code == 200, path
        assert client.get("/v1/inspections", params={"class": NAME}).json()["inspections"] == [part]
        for path in ("images/rgb.png", "maps/fused.npy", "maps/fused.png?style=overlay", "inputs/rgb", "cloud.bin"):
            assert client.get(f"/v1/inspections/{part['id']}/{path}").status_code == 200, path
        client.post(f"/v1/inspections/{part['id']}/verdicts", json={"verdict": "good"})
        archive = zipfile.ZipFile(io.BytesIO(client.get(f"{BASE}/export.zip", params={"verdict": "good"}).content))
        assert any(place.startswith("train/good/rgb/") for place in archive.namelist())


@pytest.mark.parametrize("name", ["a/b", "..", "a\\b", "a\nb", "x" * 201])
def test_what_cannot_be_a_folder_or_a_part_of_an_address_is_no_class(name: str, run_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be a class of the station: give NAME=PATH"):
        detectors_at(f"{name}={run_folder}")


def test_a_class_of_any_name_goes_over_mqtt(
    opened: Callable[..., Station], run_folder: Path, test_parts: Path, broker
) -> None:
    paho = pytest.importorskip("paho.mqtt.client")
    from paho.mqtt.enums import CallbackAPIVersion

    received: dict[str, dict] = {}
    reader = paho.Client(CallbackAPIVersion.VERSION2, "reader", protocol=paho.MQTTv5)
    reader.on_message = lambda _c, _u, message: received.update({message.topic: json.loads(message.payload)})
    reader.connect("127.0.0.1", broker.port, 5)
    reader.subscribe("line/+/inspection", qos=1)
    reader.loop_start()
    station = opened(f"{NAME}={run_folder}")
    with ExitStack() as stack:
        attach(station, Attached(mqtt=broker.address), stack)
        client = stack.enter_context(client_of(station))
        sent = client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000")).json()["inspections"]
        until(lambda: received)
    reader.disconnect()
    reader.loop_stop()
    assert list(received.values()) == sent
    ((_, level, _),) = (topic.split("/") for topic in received)
    assert unquote(level) == NAME
    assert not set(level) & set("#+")


@pytest.mark.parametrize("prefix", ["a+b", "a#b", "a?b"])
def test_a_prefix_that_topics_cannot_hold_is_refused(prefix: str) -> None:
    pytest.importorskip("paho.mqtt.client")
    with pytest.raises(RecipeError, match="choose a prefix without"):
        Mqtt(f"mqtt://127.0.0.1:1/{prefix}", "one")
