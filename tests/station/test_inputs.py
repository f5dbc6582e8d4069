"""Parts from a watched folder, a replay, a camera; results to a webhook, a broker, an OPC UA client."""

import asyncio
import http.server
import json
import shutil
import threading
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from stations import client_of, free_port, until

import trd
from trd.config import load_recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.errors import DataError, OutputError, RecipeError
from trd_station.inputs.camera import CameraInput, VideoCamera
from trd_station.inputs.folder import WatchedFolder
from trd_station.inputs.replay import Replay
from trd_station.inputs.taking import Running
from trd_station.outputs.mqtt import Mqtt
from trd_station.outputs.outbox import Outbox
from trd_station.outputs.webhook import webhook
from trd_station.running import Attached, attach
from trd_station.station import Station
from trd_station.store.verdicts import NewEvent


def inspections(client: TestClient) -> list[dict]:
    return client.get("/v1/inspections?order=oldest").json()["inspections"]


def test_a_watched_folder(station: Station, client: TestClient, tmp_path: Path, test_parts: Path) -> None:
    place = tmp_path / "in"
    for source in ("rgb", "xyz"):
        (place / source).mkdir(parents=True)
    running = Running(station, WatchedFolder(station, "biscuit", place))
    try:
        shutil.copy(test_parts / "good/rgb/000.png", place / "rgb/a.png")
        shutil.copy(test_parts / "chip/rgb/000.png", place / "rgb/b.png")
        shutil.copy(test_parts / "good/xyz/000.tiff", place / "xyz/a.tiff")
        (told,) = until(lambda: inspections(client))
        assert (told["part"], told["origin"], told["inputs"]) == ("a", "folder", {"rgb": "a.png", "xyz": "a.tiff"})
        shutil.copy(test_parts / "chip/xyz/000.tiff", place / "xyz/b.tiff")
        until(lambda: len(inspections(client)) == 2)
        until((place / "inspected/xyz/b.tiff").exists)
        assert not list(place.glob("*/*.png"))
        shutil.rmtree(place)
        until(lambda: client.get("/v1/events?kind=input").json()["events"])
        text = client.get("/v1/events?kind=input").json()["events"][0]["text"]
        assert "does not exist: make a folder for each of rgb, xyz" in text
    finally:
        running.stop()


def test_a_replay_shows_all_parts(station: Station, client: TestClient, drawn: Path, run_folder: Path) -> None:
    running = Running(station, Replay(station, "biscuit", drawn / "biscuit", 0.0, rounds=1))
    assert running.join(30)
    files = list_class(drawn, "biscuit", ("rgb", "xyz"), ("xyz",)).test
    detector = trd.Detector.load(run_folder, "cpu")
    expected = {one.id.removeprefix("test/"): detector.predict(load_sample(one, ("xyz",))).score for one in files}
    assert {one["part"]: one["score"] for one in inspections(client)} == expected
    with pytest.raises(DataError, match="no class 'gear' is served"):
        Replay(station, "gear", drawn / "biscuit", 0.0)


def test_frames_of_a_camera(opened, drawn: Path, tmp_path: Path, test_parts: Path) -> None:
    """Here an image sequence; a USB camera or a stream is opened by the same call."""
    both = load_recipe("patch-statistics", ["frame.size=64", "scoring.stand_ins=false"])
    colour = both.model_copy(update={"modalities": {"rgb": both.modalities["rgb"]}})
    trd.fit(drawn, tmp_path / "rgb", colour, device="cpu")
    pictures = [test_parts / "good/rgb/000.png", test_parts / "stain/rgb/000.png"]
    for number, path in enumerate(pictures):
        shutil.copy(path, tmp_path / f"frame{number}.png")
    station = opened(tmp_path / "rgb")
    camera = VideoCamera(str(tmp_path / "frame%d.png"))
    assert Running(station, CameraInput(station, "biscuit", camera)).join(30)
    camera.close()
    detector = trd.Detector.load(tmp_path / "rgb", "cpu")
    scores = [detector.predict({"rgb": cv2.imread(str(path))[..., ::-1].copy()}).score for path in pictures]
    with client_of(station) as client:
        told = inspections(client)
        assert [one["score"] for one in told] == scores
        assert [(one["part"], one["origin"]) for one in told] == [
            ("frame-000001", "camera"),
            ("frame-000002", "camera"),
        ]
        assert client.get("/v1/classes/biscuit").json()["sources"][0]["name"] == "rgb"
        assert client.get("/v1/inspections/1/cloud.bin").json()["code"] == "no_cloud"
    with pytest.raises(DataError, match="cannot be opened"):
        VideoCamera(str(tmp_path / "nothing.mp4"))
    assert np.isfinite(scores).all()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.server.broken:
            self.send_error(500)
            return
        self.server.received.append((body, self.headers["Idempotency-Key"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.received, server.broken = [], False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_webhook_loses_nothing_while_its_receiver_is_away(station, client, send, receiver) -> None:
    send("good")  # before there was a webhook
    url = f"http://127.0.0.1:{receiver.server_address[1]}/results"
    box = Outbox(station, "webhook", webhook(url))
    (first,) = send("chip")
    until(lambda: receiver.received)
    assert receiver.received == [(first, f"inspection-{first['id']}")]
    receiver.broken = True
    later = [send("good")[0] for _ in range(3)]
    until(lambda: client.get("/v1/events?kind=output&class=biscuit").json()["events"])  # it concerns every class
    box.stop()
    receiver.broken = False
    box = Outbox(station, "webhook", webhook(url))  # after a restart
    until(lambda: len(receiver.received) == 4)
    box.stop()
    assert [body["id"] for body, _ in receiver.received] == [one["id"] for one in (first, *later)]
    assert box.delivered == later[-1]["id"]
    with pytest.raises(RecipeError, match="is no address"):
        webhook("file:///etc/passwd")


def test_results_over_mqtt_survive_restarts_of_the_broker(station, send, broker) -> None:
    client_module = pytest.importorskip("paho.mqtt.client")
    from paho.mqtt import subscribe
    from paho.mqtt.enums import CallbackAPIVersion
    from paho.mqtt.properties import Properties

    received: list[tuple[str, str]] = []
    reader = client_module.Client(CallbackAPIVersion.VERSION2, "reader", protocol=client_module.MQTTv5)
    reader.on_message = lambda _c, _u, message: received.append((message.topic, message.payload.decode()))
    reader.on_connect = lambda one, *_: one.subscribe("line/#", qos=1)
    reader.reconnect_delay_set(1, 1)
    kept = Properties(client_module.PacketTypes.CONNECT) if hasattr(client_module, "PacketTypes") else None
    if kept is not None:
        kept.SessionExpiryInterval = 600
    reader.connect_async("127.0.0.1", broker.port, 5)
    reader.loop_start()
    sent: list[dict] = []

    def all_came() -> bool:
        return len({body for topic, body in received if topic.endswith("inspection")}) == len(sent)

    with ExitStack() as stack:
        attach(station, Attached(mqtt=broker.address), stack)
        until(lambda: ("line/state", "online") in received)
        for _ in range(3):
            sent += send("good")
            until(all_came)
            broker.stop()
            broker.start()
            until(reader.is_connected)
        sent += send("chip")
        until(all_came)
        for number in (None, station.class_id("biscuit")):
            station.report(NewEvent("alarm", "disk", "nearly full", number))
        until(lambda: {"line/alarm", "line/biscuit/alarm"} <= {topic for topic, _ in received})
        later = subscribe.simple("line/biscuit/alarm", hostname="127.0.0.1", port=broker.port)
        assert json.loads(later.payload)["text"] == "nearly full"  # also to who comes later
    until(lambda: received[-1] == ("line/state", "offline"))
    reader.disconnect()
    reader.loop_stop()
    told = {json.loads(body)["id"]: json.loads(body) for topic, body in received if topic == "line/biscuit/inspection"}
    assert [told[one["id"]] for one in sent] == sent


def test_what_the_broker_refuses_is_not_delivered(broker) -> None:
    pytest.importorskip("paho.mqtt.client")
    for prefix in ("line", "forbidden"):
        one = Mqtt(f"mqtt://127.0.0.1:{broker.port}/{prefix}", "one")
        try:
            until(one._client.is_connected)
            if prefix == "line":
                one.deliver({"class": "biscuit"})
                continue
            for _ in range(2):
                with pytest.raises(OutputError, match="refuses forbidden/biscuit/inspection: Not authorized"):
                    one.deliver({"class": "biscuit"})
        finally:
            one.close()


def test_results_over_opc_ua(station, send) -> None:
    asyncua = pytest.importorskip("asyncua")
    endpoint = f"opc.tcp://127.0.0.1:{free_port()}"

    fields = ("Sequence", "Id", "Part", "Decision", "Score", "RejectAbove", "Model", "Time")
    names = ("id", "part", "decision", "score", "reject_above", "model", "at")

    async def ask() -> None:
        async with asyncua.Client(endpoint) as client:
            place = await client.get_namespace_index("urn:trd:station")

            async def read(*names: str) -> list:
                paths = [[f"{place}:{part}" for part in ("TRD", *name.split("/"))] for name in names]
                return [await (await client.nodes.objects.get_child(path)).read_value() for path in paths]

            async def comes(name: str, least: int) -> None:
                while (await read(name))[0] < least:
                    await asyncio.sleep(0.05)

            assert await read("State", "biscuit/Sequence") == ["Running", 0]
            (told,) = await asyncio.to_thread(send, "chip")
            await asyncio.wait_for(comes("biscuit/Sequence", 1), 20)
            assert await read(*(f"biscuit/{name}" for name in fields)) == [1, *(told[name] for name in names)]
            assert await read("AlarmsOpen", "biscuit/AlarmsOpen", "biscuit/AlarmKind") == [1, 0, ""]
            raised = NewEvent("alarm", "rejects", "5 parts in a row were rejected", station.class_id("biscuit"))
            row = await asyncio.to_thread(lambda: station.report(raised).result())
            await asyncio.wait_for(comes("biscuit/AlarmsOpen", 1), 20)
            assert await read("biscuit/AlarmId", "biscuit/AlarmText") == [row["id"], raised.text]
            (beat,) = await read("Heartbeat")
            await asyncio.wait_for(comes("Heartbeat", beat + 1), 20)

    station.report(NewEvent("alarm", "disk", "nearly full")).result()  # before the server is there
    with ExitStack() as stack:
        attach(station, Attached(opcua=endpoint), stack)
        asyncio.run(ask())


def test_what_cannot_be_attached(station: Station, tmp_path: Path) -> None:
    for attached, words in (
        (Attached(folders=("biscuit",)), "expected CLASS=WHERE"),
        (Attached(mqtt="http://x"), r"expected mqtt\(s\)://"),
        (Attached(opcua="http://x"), "expected opc.tcp://"),
        (Attached(opcua="opc.tcp://0.0.0.0:4840"), "is reached from other machines"),
        (Attached(webhooks=("nowhere",)), "is no address"),
    ):
        with ExitStack() as stack, pytest.raises(RecipeError, match=words):
            attach(station, attached, stack)
    with ExitStack() as stack, pytest.raises(DataError, match="no class 'gear'"):
        attach(station, Attached(folders=(f"gear={tmp_path}",)), stack)
