"""Alarms: raised once, open over a restart, acknowledged with a cause, told to every output."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from stations import client_of, until, upload

from trd.errors import OutputError
from trd_station.alarms.rules import ClassRules, StationRules, rules_from_json
from trd_station.alarms.tally import INVALID, REJECT, Tally
from trd_station.live import Message
from trd_station.outputs import outbox
from trd_station.outputs.feeds import ALARMS
from trd_station.outputs.outbox import Outbox
from trd_station.outputs.webhook import alarm_key
from trd_station.station import Station
from trd_station.store import verdicts
from trd_station.store.verdicts import NewEvent

Send = Callable[..., list[dict]]
BASE = "/v1/classes/biscuit"
OK, REVIEW = 0, 1
ALL = ("rejects", "reject_rate", "invalid")


def alarms(client: TestClient, **query: Any) -> list[dict[str, Any]]:
    """Newest first."""
    return client.get("/v1/events", params={"level": "alarm", "class": "biscuit", **query}).json()["events"]


def acknowledge(client: TestClient, number: int, **body: str) -> Any:
    return client.post(f"/v1/events/{number}/acknowledge", json=body)


def rule(client: TestClient, **values: Any) -> None:
    answer = client.put(f"{BASE}/alarm-rules", json={"reason": "to see", **values})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("decisions", "kinds"),
    [
        ([REJECT] * 5, {"rejects"}),
        ([REJECT] * 4 + [OK, REJECT], set()),
        ([REJECT] * 4 + [REVIEW, REJECT], set()),
        ([REJECT] * 4 + [INVALID, REJECT], {"rejects"}),  # a part that says nothing
        ([INVALID] * 3, {"invalid"}),
        ([INVALID] * 2 + [OK, INVALID], set()),
        ([OK, OK, REJECT, REJECT] * 3, {"reject_rate"}),  # 5 of the last 10
        ([OK, OK, REJECT, REJECT] * 2, set()),  # not yet 10
        ([OK, OK, OK, REJECT] * 10, set()),  # 3 of the last 10, which is not more than 40 %
    ],
)
def test_what_breaks_a_rule(decisions: list[int], kinds: set[str]) -> None:
    rules, tally = ClassRules(reject_rate=0.4, reject_window=10), Tally()
    for decision in decisions:
        tally.add(ALL, decision)
    assert set(tally.broken(rules, {"reason": "no depth"})) == kinds
    assert not tally.broken(ClassRules(rejects_in_row=0, reject_rate=0, invalid_in_row=0), {})
    for kind in kinds:
        tally.reset(kind)
    assert not tally.broken(rules, {})


def test_rules_of_another_version_are_read() -> None:
    assert rules_from_json(ClassRules, {"rejects_in_row": 9, "of_tomorrow": 1}) == ClassRules(rejects_in_row=9)


def test_an_alarm_is_raised_once_and_acknowledged_with_a_cause(
    station: Station, client: TestClient, send: Send
) -> None:
    heard: list[Message] = []
    station.news.listeners.append(heard.append)
    rule(client, rejects_in_row=2)
    for _ in range(4):
        (part,) = send("chip")
        assert part["decision"] == "reject"
    (alarm,) = until(lambda: alarms(client, open=True))
    assert (alarm["kind"], alarm["text"]) == ("rejects", "2 parts in a row were rejected")
    assert alarm["id"] in [message.data["id"] for message in heard if message.event == "event"]
    assert client.get(BASE).json()["alarms_open"] == 1
    for body in ({}, {"cause": " \n "}):
        refused = acknowledge(client, alarm["id"], **body)
        assert (refused.status_code, refused.json()["code"]) == (422, "parameter")
    done = acknowledge(client, alarm["id"], cause="the lamp was off").json()
    assert (done["acknowledged_by"], done["cause"]) == ("local", "the lamp was off")
    again = acknowledge(client, alarm["id"], cause="somebody else says").json()
    assert again == done
    (told,) = until(lambda: client.get("/v1/events?kind=acknowledged").json()["events"])
    assert told["text"] == "acknowledged by local: the lamp was off (2 parts in a row were rejected)"
    assert told["data"] == {"event": alarm["id"]}
    send("chip")
    assert not alarms(client, open=True)  # it counts anew
    send("chip")
    until(lambda: alarms(client, open=True))
    assert client.get(BASE).json()["alarms_open"] == 1


def test_alarms_counts_and_rules_survive_a_restart(opened, run_folder: Path, test_parts: Path) -> None:
    chip = upload(test_parts / "chip", "000")
    with client_of(opened()) as client:
        rule(client, rejects_in_row=3)
        for _ in range(2):
            client.post(f"{BASE}/inspections", files=chip)
    client.app.state.station.close()
    with client_of(opened()) as client:
        client.post(f"{BASE}/inspections", files=chip)  # the third in a row
        (alarm,) = until(lambda: alarms(client, open=True))
    client.app.state.station.close()
    with client_of(opened()) as client:
        client.post(f"{BASE}/inspections", files=chip)
        assert [one["id"] for one in alarms(client, open=True)] == [alarm["id"]]  # no second one
        acknowledge(client, alarm["id"], cause="test")
    client.app.state.station.close()
    with client_of(opened()) as client:
        for _ in range(2):
            client.post(f"{BASE}/inspections", files=chip)
        until(lambda: client.get("/v1/inspections/count").json()["count"] == 6)
        assert not alarms(client, open=True)  # those before the acknowledgement do not count
        assert alarms(client)[0]["cause"] == "test"


def test_parts_that_cannot_be_judged(client: TestClient, test_parts: Path) -> None:
    broken = [(name, (path, data[:200])) for name, (path, data) in upload(test_parts / "chip", "000")]
    for _ in range(3):
        client.post(f"{BASE}/inspections", files=broken)
    (alarm,) = until(lambda: alarms(client))
    assert alarm["kind"] == "invalid"
    assert alarm["text"].startswith("3 parts in a row could not be judged: 000.")


def test_drift_is_an_alarm_or_a_warning(station: Station, client: TestClient) -> None:
    number = station.class_id("biscuit")
    for drift, level in ((True, "alarm"), (False, "warning")):
        rule(client, drift=drift)
        row = station.alarms.watched(NewEvent("alarm", "drift", "tilt has changed", number)).result()
        assert row["level"] == level


def test_an_output_that_is_dead_and_a_full_disk(
    station: Station, client: TestClient, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RETRY", (0.02,))
    free = 10e9
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    away = True

    def deliver(_: dict[str, Any]) -> None:
        if away:
            raise OutputError("no route")

    box = Outbox(station, "webhook", deliver)
    send("good")
    until(lambda: client.get("/v1/events?kind=output&level=warning").json()["events"])
    station.alarms.look()
    assert not alarms(client)  # a minute is not over
    answer = client.put("/v1/alarm-rules", json={"output_dead_s": 0.01, "disk_free_gb": 5, "reason": "to see"})
    assert answer.json() == client.get("/v1/alarm-rules").json() == {"output_dead_s": 0.01, "disk_free_gb": 5.0}
    free = 4e9
    for _ in range(2):
        station.alarms.look()
    disk, dead = until(lambda: (told := alarms(client)) and len(told) == 2 and told)
    assert (dead["kind"], dead["class"], dead["data"]) == ("output", None, {"name": "webhook"})
    assert disk["text"] == "4.0 GB are free on the disk, fewer than 5"
    for alarm in (disk, dead):
        acknowledge(client, alarm["id"], cause="known")
    station.alarms.look()
    assert not alarms(client, open=True)  # as long as it lasts
    away, free = False, 9e9
    until(lambda: client.get("/v1/events?kind=output&level=info").json()["events"])
    station.alarms.look()
    free = 1e9
    station.alarms.look()
    until(lambda: [one["kind"] for one in alarms(client, open=True)] == ["disk"])  # it began again
    box.stop()
    assert station.alarms.station_rules == StationRules(0.01, 5.0)


def test_an_alarm_that_could_not_be_stored_is_raised_again(
    station: Station, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
    tries: list[int] = []

    def full(*_: object, **__: object) -> None:
        tries.append(1)
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "add_event", full)
        station.alarms.look()
        until(lambda: tries)
    assert not alarms(client)
    until(lambda: station.alarms.look() or alarms(client))
    station.alarms.look()
    assert [alarm["kind"] for alarm in alarms(client)] == ["disk"]


def test_rules_that_two_people_change_at_once_are_both_kept(station: Station, client: TestClient, monkeypatch) -> None:
    """Of different fields: neither writes back what it has read before the other's."""
    write = station.database.write

    def slow(change: Callable[..., Any]) -> Any:
        time.sleep(0.05)
        return write(change)

    monkeypatch.setattr(station.database, "write", slow)
    changes = ({"rejects_in_row": 7}, {"invalid_in_row": 9})
    threads = [threading.Thread(target=rule, args=(client,), kwargs=change) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rules = client.get(f"{BASE}/alarm-rules").json()
    assert (rules["rejects_in_row"], rules["invalid_in_row"]) == (7, 9)


def test_alarms_and_acknowledgements_go_to_outputs_in_order(station: Station, client: TestClient) -> None:
    received: list[tuple[str, str | None]] = []
    box = Outbox(station, "webhook-alarms", lambda told: received.append((alarm_key(told), told["cause"])), ALARMS)
    station.report(NewEvent("info", "model", "nothing to be alarmed at")).result()
    row = station.report(NewEvent("alarm", "rejects", "2 parts", station.class_id("biscuit"))).result()
    until(lambda: len(received) == 1)
    acknowledge(client, row["id"], cause="lamp")
    until(lambda: len(received) == 2)
    box.stop()
    assert received == [(f"alarm-{row['id']}", None), (f"alarm-{row['id']}-acknowledged", "lamp")]
    assert [one["id"] for one in station.open_alarms()] == []


def test_rules_that_make_no_sense_are_refused(client: TestClient) -> None:
    for path, body in (
        (f"{BASE}/alarm-rules", {"rejects_in_row": -1}),
        (f"{BASE}/alarm-rules", {"reject_rate": 1.0}),
        (f"{BASE}/alarm-rules", {"reject_window": 1001}),
        (f"{BASE}/alarm-rules", {"rejects": 5}),
        ("/v1/alarm-rules", {"disk_free_gb": -1}),
    ):
        answer = client.put(path, json={"reason": "to see", **body})
        assert (answer.status_code, answer.json()["code"]) == (422, "parameter"), body
    assert client.put(f"{BASE}/alarm-rules", json={"rejects_in_row": 4}).status_code == 422  # without a reason
    assert client.get(f"{BASE}/alarm-rules").json() == {
        **{"rejects_in_row": 5, "reject_rate": 0.3, "reject_window": 50, "invalid_in_row": 3},
        **{"drift": True, "lesson": True},
    }


def test_a_lamp_that_loses_a_fifth_of_its_light_raises_an_alarm(
    client: TestClient, drawn: Path, tmp_path: Path
) -> None:
    """It makes rejects of good parts, the same that taught the detector."""
    shutil.copytree(drawn / "biscuit/train/good", tmp_path / "dim")
    for path in (tmp_path / "dim/rgb").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) * 0.8).astype(np.uint8)).save(path)
    stems = sorted(path.stem for path in (tmp_path / "dim/rgb").iterdir())
    for stem in stems:
        (part,) = client.post(f"{BASE}/inspections", files=upload(tmp_path / "dim", stem)).json()["inspections"]
        assert part["decision"] == "reject", stem
    assert len(stems) > 5
    assert [alarm["kind"] for alarm in until(lambda: alarms(client))] == ["rejects"]
