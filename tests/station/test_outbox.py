"""An outbox in trouble: its place cannot be written, the database does not answer, the process is killed."""

import json
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from stations import until

from trd.errors import OutputError
from trd_station.alarms.rules import StationRules
from trd_station.attachments import AttachedState
from trd_station.outputs import feeds, outbox
from trd_station.outputs.feeds import Feed
from trd_station.outputs.outbox import Outbox, UndeliverableError, body_of
from trd_station.outputs.webhook import Webhook, alarm_key
from trd_station.running import Attached, attach
from trd_station.station import Station
from trd_station.store.verdicts import NewEvent

Send = Callable[..., list[dict]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "RETRY", (0.02,))


def test_a_full_disk_or_a_database_that_is_away_passes(
    station: Station, client: TestClient, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[int] = []
    tries: list[int] = []

    def fails_with(error: Exception) -> Callable[..., None]:
        def fail(*_: object) -> None:
            tries.append(1)
            raise error

        return fail

    def texts() -> list[str]:
        return [one["text"] for one in client.get("/v1/events?kind=output").json()["events"]]

    box = Outbox(station, "webhook", lambda told: received.append(told["id"]))
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "write_json", fails_with(OutputError("cannot write it: No space left on device")))
        sent = [send()[0]["id"] for _ in range(2)]
        until(lambda: len(tries) > 3)
        assert received == sent[:1]  # what comes behind it would come twice after a kill
        (text,) = until(texts)
        assert text.startswith("webhook cannot go on (OutputError: cannot write it: No space left on device)")
    until(lambda: received == sent and "webhook receives again" in texts())
    tries.clear()
    with monkeypatch.context() as patch:
        patch.setattr(feeds, "select", fails_with(OperationalError("SELECT", {}, Exception("disk I/O error"))))
        sent += [send()[0]["id"]]
        until(lambda: len(tries) > 3)
    until(lambda: received == sent and len(texts()) == 4)
    assert texts()[1] == "webhook cannot go on (OperationalError: disk I/O error); results wait for it"
    box.stop()


def test_an_output_for_which_nothing_waits_is_not_dead(
    station: Station, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database did not answer for a moment: no result comes that would show that it is over."""
    monkeypatch.setattr(outbox, "IDLE", 0.02)
    station.alarms.use(StationRules(output_dead_s=0.001), None)

    def away(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    box = Outbox(station, "webhook", lambda told: None)
    with monkeypatch.context() as patch:
        patch.setattr(Feed, "after", away)
        until(lambda: box.state().state == "failing")
    until(lambda: box.state() == AttachedState("working", waiting=0))
    until(lambda: len(client.get("/v1/events?kind=output").json()["events"]) == 2)
    station.alarms.look()
    assert not station.open_alarms()
    texts = [event["text"] for event in client.get("/v1/events?kind=output").json()["events"]]
    assert texts[0] == "webhook goes on; nothing waits for it"
    box.stop()


def test_the_place_is_kept_after_each_result(station: Station, send: Send) -> None:
    """A kill while the second is sent: the first does not come again."""
    sent: list[dict] = []

    def deliver(told: dict) -> None:
        if told["id"] != sent[0]["id"]:
            raise OSError("killed here")

    box = Outbox(station, "webhook", deliver)
    box.stop()
    sent += send() + send()
    box = Outbox(station, "webhook", deliver)  # both in one chunk
    until(lambda: box.delivered == sent[0]["id"])
    place = station.settings.data / "outputs/webhook.json"
    until(lambda: json.loads(place.read_text())["delivered"] == sent[0]["id"])
    box.stop()


def test_what_can_never_be_sent_is_set_aside(station: Station, client: TestClient, send: Send) -> None:
    received: list[int] = []

    def deliver(told: dict) -> None:
        if not received and not asked:
            asked.append(told["id"])
            body_of({**told, "score": float("nan")})
        received.append(told["id"])

    asked: list[int] = []
    box = Outbox(station, "webhook", deliver)
    first, second = send()[0]["id"], send()[0]["id"]
    until(lambda: received)
    box.stop()
    assert (asked, received, box.delivered) == ([first], [second], second)
    (event,) = until(lambda: client.get("/v1/events?kind=output").json()["events"])
    assert (event["class"], event["data"]) == ("biscuit", {"inspection": first})
    assert event["text"].startswith(f"webhook never gets inspection {first}: it cannot be written as JSON")
    with pytest.raises(UndeliverableError):
        body_of({"part": "\udcff"})


def test_an_output_shows_its_alarms_too(
    station: Station, client: TestClient, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its inspections go through all the while."""
    away = [True]
    received: list[int] = []

    def deliver(self: Webhook, told: dict) -> None:
        if self._key is alarm_key and away:
            raise OSError("nobody listens")
        received.append(told["id"])

    def shown() -> dict:
        (told,) = client.get("/v1/administration").json()["outputs"]
        return told

    monkeypatch.setattr(Webhook, "__call__", deliver)
    with ExitStack() as stack:
        attach(station, Attached(webhooks=("http://127.0.0.1:9/",)), stack)
        for kind in ("disk", "rejects"):
            station.report(NewEvent("alarm", kind, "to see")).result()
        station.report(NewEvent("info", "watch", "no alarm")).result()
        inspected = send()[0]["id"]
        until(lambda: received == [inspected] and shown()["state"] == "failing")
        told = shown()
        assert told["fault"].startswith("alarms: does not receive (OSError: nobody listens)")
        assert (told["waiting"], told["at"] is not None) == (2, True)
        away.clear()
        until(lambda: shown()["waiting"] == 0)
        assert (shown()["state"], shown()["fault"]) == ("working", "")
