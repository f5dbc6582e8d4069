"""Drift: found soon, and seldom where there is none."""

import contextlib
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from inspections import add_many
from sqlalchemy import select
from stations import client_of, until, upload

from trd.preprocess.ranges import NOTED
from trd_station.station import Station
from trd_station.store.database import Database
from trd_station.store.schema import inspection
from trd_station.watch.exchangeable import ExchangeabilityTest
from trd_station.watch.watch import Watch

BASE = "/v1/classes/biscuit"
ALARM = math.log10(8 / 0.01)  # eight streams, a false alarm of any of them in a hundred lines


def highest(values: np.ndarray, seed: int) -> float:
    test, found = ExchangeabilityTest(seed), -math.inf
    for value in values:
        test.add(float(value))
        found = max(found, test.log10_evidence)
    return found


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "few values", "with defects"])
def test_parts_that_do_not_change_give_no_alarm(kind: str) -> None:
    """The bound is 1 %; of 25 lines of 500 parts with one stream each it allows 1 / 800 alarms per line."""
    rng = np.random.default_rng(5)
    for line in range(25):
        values = rng.normal(size=500)
        if kind == "heavy tails":
            values = rng.standard_cauchy(500)
        elif kind == "few values":
            values = rng.integers(0, 3, 500).astype(float)
        elif kind == "with defects":
            values = np.where(rng.random(500) < 0.05, values + 10, values)
        assert highest(values, line) < ALARM


def test_the_evidence_keeps_its_bound() -> None:
    """By Ville's inequality it ever reaches 1 / rate with probability at most `rate`, also among few parts."""
    rng = np.random.default_rng(6)
    reached = np.array([highest(rng.normal(size=60), line) for line in range(500)])
    for rate in (0.2, 0.1, 0.02):
        assert (reached >= math.log10(1 / rate)).mean() <= rate
    assert (reached > 0).any()


@pytest.mark.parametrize("before", [60, 300, 2000])
@pytest.mark.parametrize("shift", [-3.0, 3.0])
def test_a_change_is_found_within_60_parts(before: int, shift: float) -> None:
    rng = np.random.default_rng(7)
    for line in range(10 if before < 2000 else 3):
        test = ExchangeabilityTest(line)
        for value in rng.normal(size=before):
            test.add(float(value))
        for _ in range(60):
            test.add(float(rng.normal() + shift))
            if test.log10_evidence >= ALARM:
                break
        assert test.log10_evidence >= ALARM


def test_a_test_goes_on_where_it_was_saved() -> None:
    rng = np.random.default_rng(8)
    one = ExchangeabilityTest(3)
    for value in rng.normal(size=100):
        one.add(float(value))
    other = ExchangeabilityTest.from_bytes(one.to_bytes())
    for value in rng.normal(size=50) + 1:
        one.add(float(value))
        other.add(float(value))
    assert one.log10_evidence == other.log10_evidence
    assert one.quantiles(0.1, 0.9) == other.quantiles(0.1, 0.9)
    with pytest.raises(ValueError, match="not the state of a test"):
        ExchangeabilityTest.from_bytes(b"nonsense")
    with pytest.raises(ValueError, match="cannot be ranked"):
        one.add(math.nan)


def test_the_bound_holds_and_the_evidence_stays_where_ranking_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trd_station.watch.exchangeable.MOST", 40)
    rng = np.random.default_rng(9)
    reached = np.array([highest(rng.normal(size=200), line) for line in range(120)])
    for rate in (0.2, 0.1):
        assert (reached >= math.log10(1 / rate)).mean() <= rate
    test = ExchangeabilityTest(1)
    for value in [*rng.normal(size=25), *(rng.normal(size=15) + 4)]:
        test.add(float(value))
    before = test.log10_evidence
    assert before > 1
    test.add(0.0)
    assert test.log10_evidence == before
    assert (test.count, test.quantiles(0, 1)) == (41, (0.0, 0.0))


def rows(count: int, brightness: float, seed: int, first: int = 1) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [
        {
            "id": first + number,
            "at": 1_000_000 + first + number,
            "class_id": 1,
            "model_id": 1,
            "score": float(rng.gamma(4.0, 0.5)),
            "measures": {
                "brightness rgb": brightness * float(rng.uniform(0.94, 1.06)),
                "plane": 0.4 + float(rng.normal(0, 2e-5)),
            },
        }
        for number in range(count)
    ]


def test_a_dark_lamp_becomes_an_event(station: Station, client: TestClient) -> None:
    for row in rows(150, 0.35, 1):
        station.watch.observe(row)
    told = client.get(f"{BASE}/watch").json()
    streams = {one["name"]: one for one in told["streams"]}
    assert not any(one["alarm"] for one in told["streams"])
    assert streams["brightness rgb"]["inside"]
    assert streams["brightness rgb"]["training"][0] < 0.35 < streams["brightness rgb"]["training"][1]
    for row in rows(60, 0.35 * 0.85, 2, 151):
        station.watch.observe(row)
    told = client.get(f"{BASE}/watch").json()
    assert [one["name"] for one in told["streams"] if one["alarm"]] == ["brightness rgb"]
    alarms = until(lambda: client.get("/v1/events?level=alarm&kind=drift").json()["events"])
    assert [event["data"]["name"] for event in alarms] == ["brightness rgb"]
    assert "brightness rgb has changed" in alarms[0]["text"]
    text = client.get("/metrics").text
    assert 'trd_drift_alarm{class_name="biscuit",measure="brightness rgb"} 1.0' in text
    done = client.post(f"/v1/events/{alarms[0]['id']}/acknowledge", json={"cause": "a new lamp"}).json()
    assert done["acknowledged_by"] == "local"
    assert client.get("/v1/events?open=true&level=alarm").json()["events"] == []
    body = {"name": "brightness rgb", "reason": "new lamp"}
    after = client.post(f"{BASE}/watch/restart", json=body).json()
    assert not any(one["alarm"] for one in after["streams"])
    assert client.post(f"{BASE}/watch/restart", json={"name": "no", "reason": "x"}).status_code == 404


def test_a_lowered_table_is_found(station: Station, client: TestClient) -> None:
    for row in rows(150, 0.35, 1):
        station.watch.observe(row)
    for row in rows(60, 0.35, 2, 151):
        row["measures"]["plane"] += 0.002
        station.watch.observe(row)
    alarms = [one["name"] for one in client.get(f"{BASE}/watch").json()["streams"] if one["alarm"]]
    assert alarms == ["plane"]


def test_a_bright_picture_outside_the_training_range(station: Station, client: TestClient) -> None:
    for row in rows(30, 0.8, 1):
        station.watch.observe(row)
    events = until(lambda: client.get("/v1/events?kind=range").json()["events"])
    assert len(events) == 1
    assert "training" in events[0]["text"]


def test_every_measure_is_compared_with_the_training(client: TestClient, test_parts: Path) -> None:
    client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000", "001"))
    for _ in range(100):
        streams = {one["name"]: one for one in client.get(f"{BASE}/watch").json()["streams"]}
        if streams.get("score", {}).get("count") == 2:
            break
    assert streams.pop("score")["training"] is None  # a score has its own stream, "score good"
    measures = {"brightness rgb", "contrast rgb", "measured", "plane", "tilt", "part_mm", "part_x_mm", "part_y_mm"}
    assert set(streams) == measures
    assert {name for name, one in streams.items() if one["inside"] is not True} == set()


def test_ranges_of_an_earlier_version_still_serve(station: Station, client: TestClient, test_parts: Path) -> None:
    facts = station.shelf.serving("biscuit").detector.facts
    now = facts.ranges.values
    old = {name: ends for name, ends in now.items() if name.partition(" ")[0] in NOTED}
    assert set(old) < set(now)
    facts.ranges.values.clear()
    facts.ranges.values.update(old)
    try:
        client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000"))
        for _ in range(100):
            streams = {one["name"]: one for one in client.get(f"{BASE}/watch").json()["streams"]}
            if "score" in streams:
                break
        assert streams["brightness rgb"]["inside"] is True
        assert streams["tilt"]["training"] is streams["contrast rgb"]["training"] is None
    finally:
        facts.ranges.values.update(now)


def test_the_watch_goes_on_after_a_stop(opened, test_parts: Path) -> None:
    station = opened()
    with client_of(station) as client:
        for _ in range(3):
            client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000", "001"))
    station.close()
    again = opened()
    with client_of(again) as client:
        streams = {one["name"]: one["count"] for one in client.get(f"{BASE}/watch").json()["streams"]}
        assert streams["score"] == streams["plane"] == 6
        points = client.get(f"{BASE}/watch/plane?limit=4").json()["points"]
        assert [point["id"] for point in points] == [3, 4, 5, 6]
        assert client.get(f"{BASE}/watch/nothing").status_code == 404


class Noting(Watch):
    """It notes which inspections it takes."""

    def __init__(self, database: Database) -> None:
        self.serves = 1
        super().__init__(database, 0.01, lambda _: self.serves, lambda _: None, lambda _: (1.0, 2.0), lambda _: None)
        self.taken: list[int] = []

    def _take(self, row: Mapping[str, Any]) -> None:
        self.taken.append(row["id"])
        super()._take(row)


def test_a_start_reads_only_what_came_since_the_last_saving(tmp_path: Path) -> None:
    """Also where one measure was last seen long before."""
    with contextlib.closing(Database(f"sqlite:///{tmp_path / 'station.db'}")) as database:
        database.write(partial(add_many, name="biscuit", count=30))
        with database.reading() as connection:
            parts = [dict(row) for row in connection.execute(select(inspection).order_by(inspection.c.id)).mappings()]
        before = Noting(database)
        before.observe({**parts[0], "measures": {**parts[0]["measures"], "part_mm": 61.0}})
        for row in parts[1:25]:
            before.observe(row)
        before.save()
        again = Noting(database)
        again.start([parts[0]["class_id"]])
        assert again.taken == [row["id"] for row in parts[25:]]
        counts = {one["name"]: one["count"] for one in again.to_json(parts[0]["class_id"])["streams"]}
        assert (counts["plane"], counts["part_mm"]) == (30, 1)


def test_scores_of_a_model_that_does_not_serve_are_left_out(tmp_path: Path) -> None:
    """Whether it served before the one that serves now or after it: they are in other units."""
    with contextlib.closing(Database(f"sqlite:///{tmp_path / 'station.db'}")) as database:
        database.write(partial(add_many, name="biscuit", count=1))
        watch = Noting(database)
        part = rows(1, 100.0, 1)[0]

        def counts() -> dict[str, int]:
            return {one["name"]: one["count"] for one in watch.to_json(1)["streams"] if one["name"].startswith("score")}

        watch.serves = 5
        watch.observe(part | {"model_id": 5})
        watch.serves = 3
        watch.new_model(1)
        watch.observe(part | {"id": 2, "model_id": 5})  # it was on its way
        watch.confirmed(part | {"model_id": 5})  # judged late
        assert counts() == {}
        watch.observe(part | {"id": 3, "model_id": 3})
        watch.confirmed(part | {"id": 3, "model_id": 3})
        assert counts() == {"score": 1, "score good": 3}
        watch.save()
        again = Noting(database)
        again.serves = 5
        again.start([1])
        assert not [one for one in again.to_json(1)["streams"] if one["name"].startswith("score")]


def test_confirmed_good_parts_are_compared_with_the_calibration(opened, test_parts: Path) -> None:
    station = opened(audit_rate=1.0)
    with client_of(station) as client:
        (told,) = client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000")).json()["inspections"]
        client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": "good"})
        client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": "good"})  # counts once
        good = len(station.shelf.serving("biscuit").detector.calibration.good_scores)
        for _ in range(100):
            streams = {one["name"]: one["count"] for one in client.get(f"{BASE}/watch").json()["streams"]}
            if "score good" in streams:
                break
        assert streams["score good"] == good + 1
