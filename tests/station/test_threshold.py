"""Limits: what they promise, what they would change, new versions, recalibration, the review queue."""

import base64
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from fastapi.testclient import TestClient
from stations import client_of, upload

from trd.detector import Detector
from trd.statistics.conformal import conformal_threshold
from trd.types import KindSuggestion
from trd_station import times
from trd_station.deciding import Limits, Scored, limits_for, what_if
from trd_station.station import Station

BASE = "/v1/classes/biscuit"


def judge(client: TestClient, told: dict, verdict: str, **more: str) -> dict:
    answer = client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": verdict, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1, 0.33])
def test_limits_promise_what_the_library_does(rate: float) -> None:
    scores = np.random.default_rng(3).normal(size=57)
    expected = conformal_threshold(scores, rate)
    limits = limits_for(scores.tolist(), rate, 0.5)
    assert limits.reject_above == expected.value
    assert limits.reject_rate == pytest.approx(expected.guaranteed_rate)
    assert limits.review_above <= limits.reject_above


def test_what_if_counts_what_would_change() -> None:
    before, after = Limits(1.0, 2.0, (0.1, 0.5)), Limits(0.5, 1.5, (0.1, 0.5))
    judged = [Scored(1, 0.7, "good"), Scored(2, 1.7, "defect"), Scored(3, 0.2, "good")]
    recent = [*judged[:2], Scored(4, 1.2, None), Scored(5, 0.2, None), Scored(6, 2.5, None)]
    found = what_if(before, after, [*recent, Scored(7, 0.6, None)], judged)
    assert found.now == {"ok": 3, "review": 2, "reject": 1}
    assert found.then == {"ok": 1, "review": 3, "reject": 2}
    assert found.changes == {("ok", "review"): 2, ("review", "reject"): 1}
    assert found.verdicts["good"] == {"ok": 1, "review": 1, "reject": 0}
    assert [(flip.part.id, flip.before, flip.after) for flip in found.changed] == [(7, "ok", "review")]
    assert [(flip.part.id, flip.before, flip.after) for flip in found.flips] == [
        (1, "ok", "review"),
        (2, "review", "reject"),
    ]


def test_the_first_threshold_is_the_detectors(client: TestClient, station: Station) -> None:
    told = client.get(f"{BASE}/threshold").json()
    calibration = station.shelf.serving("biscuit").detector.calibration
    assert told["reject_above"] == calibration.image_threshold.value
    assert told["reject_rate"] == pytest.approx(calibration.image_threshold.guaranteed_rate)
    assert told["review_above"] <= told["reject_above"]
    assert (told["from"], told["good_count"]) == ("training", len(calibration.good_scores))


def test_a_new_version_decides_from_the_next_part_on(client: TestClient, send) -> None:
    (before,) = send("good")
    body = {"reject_above": before["score"] - 0.001, "review_above": 0.0, "reason": "too many escapes"}
    assert client.put(f"{BASE}/threshold", json={**body, "expects": 99}).json()["code"] == "conflict"
    assert client.put(f"{BASE}/threshold", json={**body, "reason": " "}).status_code == 422
    wrong = client.put(f"{BASE}/threshold", json={**body, "review_above": 1e6})
    assert "must not be greater" in wrong.json()["detail"]
    answer = client.put(f"{BASE}/threshold", json={**body, "expects": before["threshold"]})
    assert answer.status_code == 201
    new = answer.json()
    (after,) = send("good")
    assert (after["decision"], after["threshold"]) == ("reject", new["id"])
    assert client.get(f"/v1/inspections/{before['id']}").json()["decision"] == before["decision"]
    versions = client.get(f"{BASE}/threshold/versions").json()["versions"]
    assert [(one["id"], one["active"]) for one in versions] == [(new["id"], True), (before["threshold"], False)]
    back = client.post(f"{BASE}/threshold/versions/{before['threshold']}/activate", json={"reason": "a slip"})
    assert back.json()["active"]
    assert send("good")[0]["threshold"] == before["threshold"]
    kinds = [one["kind"] for one in client.get("/v1/events").json()["events"]]
    assert kinds.count("threshold") == 2


def test_what_if_over_http(client: TestClient, send) -> None:
    (good,), (chip,) = send("good"), send("chip")
    judge(client, good, "good")
    judge(client, chip, "defect", kind="chip")
    found = client.get(f"{BASE}/threshold/what-if", params={"reject_above": 1e6, "review_above": 1e5}).json()
    assert found["parts"] == 2
    assert found["then"] == {"ok": 2, "review": 0, "reject": 0}
    assert found["verdicts"]["defect"]["ok"] == 1
    assert [flip["id"] for flip in found["flips"] if flip["verdict"] == "defect"] == [chip["id"]]
    by_rate = client.get(f"{BASE}/threshold/what-if", params={"reject_rate": 0.3, "review_rate": 0.4}).json()
    assert by_rate["reject_rate"] <= 0.3
    both = client.get(f"{BASE}/threshold/what-if", params={"reject_rate": 0.3, "review_above": 1})
    assert both.status_code == 422
    bars = client.get(f"{BASE}/threshold/histogram", params={"bins": 7}).json()
    assert len(bars["edges"]) == 8
    assert (sum(bars["all"]), sum(bars["good"]), sum(bars["defect"])) == (2, 1, 1)
    assert sum(bars["calibration"]) == by_rate["good_count"]


def test_verdicts_are_added_and_the_latest_counts(client: TestClient, send, station: Station) -> None:
    (told,) = send("chip")
    drawn = np.zeros((192, 192, 4), np.uint8)
    drawn[80:90, 80:90] = 255
    mask = base64.b64encode(imagecodecs.png_encode(drawn)).decode()
    first = judge(client, told, "unsure", who="ben")
    second = judge(client, told, "defect", kind="chip", reason="rim\nbroken", mask=mask, who="anna")
    assert (first["who"], second["who"], second["has_mask"]) == ("ben", "anna", True)
    found = client.get(f"/v1/inspections/{told['id']}").json()
    assert (found["verdict"], found["verdict_kind"]) == ("defect", "chip")
    assert [one["verdict"] for one in found["verdicts"]] == ["unsure", "defect"]
    stored = client.get(f"/v1/verdicts/{second['id']}/mask.png")
    np.testing.assert_array_equal(imagecodecs.png_decode(stored.content), drawn)
    assert client.get(f"{BASE}/kinds").json() == {"kinds": ["chip"]}
    assert client.get(f"/v1/verdicts/{first['id']}/mask.png").json()["code"] == "no_image"
    small = base64.b64encode(imagecodecs.png_encode(drawn[:50])).decode()
    for wrong in (small, "!!!", base64.b64encode(b"no png").decode()):
        answer = client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": "defect", "mask": wrong})
        assert answer.status_code == 422
    assert client.post("/v1/inspections/99/verdicts", json={"verdict": "good"}).json()["code"] == "no_inspection"
    assert len(list(station.files.root.rglob("*mask*"))) == 1


def test_the_queue_holds_uncertain_and_sampled_parts(opened, test_parts: Path) -> None:
    station = opened(audit_rate=1.0)
    with client_of(station) as client:

        def inspect(kind: str) -> dict:
            files = upload(test_parts / kind, "000")
            return client.post(f"{BASE}/inspections", files=files).json()["inspections"][0]

        first, second = inspect("good"), inspect("chip")
        assert all(one["sampled"] and one["queue"] == "audit" for one in (first, second))
        limits = {"reject_above": 1e6, "review_above": 0.0, "reason": "all uncertain"}
        client.put(f"{BASE}/threshold", json=limits)
        third = inspect("good")
        assert (third["decision"], third["queue"]) == ("review", "review")
        waiting = client.get("/v1/review").json()
        assert [one["id"] for one in waiting["inspections"]] == [first["id"], second["id"], third["id"]]
        assert waiting["open"] == {"review": 1, "audit": 2}
        judge(client, second, "defect")
        after = client.get("/v1/review", params={"class": "biscuit"}).json()
        assert (after["open"], after["done_today"]) == ({"review": 1, "audit": 1}, 1)
        tomorrow = times.to_iso(times.now() + times.DAY)
        assert client.get("/v1/review", params={"today": tomorrow}).json()["done_today"] == 0
        assert client.get("/v1/classes/biscuit").json()["review_open"] == 2


def test_the_suggested_kind_is_stored_and_read(opened, test_parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Detector, "kind", lambda self, scored: KindSuggestion("", {"chip": 0.123456}))
    with client_of(opened(audit_rate=0.0)) as client:

        def inspected(stem: str) -> dict:
            answer = client.post(f"{BASE}/inspections", files=upload(test_parts / "good", stem))
            return answer.json()["inspections"][0]

        client.put(f"{BASE}/threshold", json={"reject_above": 1e6, "review_above": 0.0, "reason": "all uncertain"})
        uncertain = inspected("000")
        client.put(f"{BASE}/threshold", json={"reject_above": 2e6, "review_above": 1e6, "reason": "none"})
        accepted = inspected("001")
        assert (accepted["decision"], accepted["kind_suggestion"]) == ("ok", None)
        suggestion = {"kind": "", "likeness": {"chip": 0.1235}}
        assert uncertain["kind_suggestion"] == suggestion
        assert client.get(f"/v1/inspections/{uncertain['id']}").json()["kind_suggestion"] == suggestion
        assert ",unlike all known kinds,review," in client.get("/v1/inspections.csv").text
        (asked,) = client.get("/v1/review").json()["inspections"]
        assert (asked["id"], asked["why"]) == (uncertain["id"], "unlike_reviewed")


def test_a_part_whose_kind_cannot_be_suggested_is_decided(
    opened, test_parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Detector, scored: object) -> None:
        raise MemoryError("out of it")

    with client_of(opened()) as client:
        monkeypatch.setattr(Detector, "kind", fails)
        client.put(f"{BASE}/threshold", json={"reject_above": 0.0, "review_above": 0.0, "reason": "all rejected"})
        answer = client.post(f"{BASE}/inspections", files=upload(test_parts / "good", "000"))
        (decided,) = answer.json()["inspections"]
        assert (decided["decision"], decided["kind_suggestion"]) == ("reject", None)


def test_only_sampled_parts_recalibrate(opened, test_parts: Path) -> None:
    station = opened(audit_rate=1.0)
    with client_of(station) as client:

        def inspect(kind: str, stem: str = "000") -> dict:
            files = upload(test_parts / kind, stem)
            return client.post(f"{BASE}/inspections", files=files).json()["inspections"][0]

        goods = [inspect("good", stem) for stem in ("000", "001")]
        for one in goods:
            judge(client, one, "good")
        judge(client, inspect("chip"), "defect")
        object.__setattr__(station.settings, "audit_rate", 0.0)
        judge(client, inspect("dent"), "good")  # looked at because it was flagged: does not count
        found = client.get(f"{BASE}/recalibration").json()
        assert found["usable"] == 2
        assert found["refused"] == {"not_sampled": 1, "not_good": 1, "other_model": 0}
        assert "2 good parts cannot promise less than 33.3%" in found["note"]
        assert found["proposal"]["reject_above"] == max(one["score"] for one in goods)
        before = client.get(f"{BASE}/threshold").json()
        assert before["from"] == "training"  # nothing was changed by looking
        body = {"reject_rate": 0.05, "review_rate": 0.1, "reason": "new lamp", "expects": before["id"]}
        new = client.post(f"{BASE}/recalibration", json=body)
        assert new.status_code == 201
        assert (new.json()["from"], new.json()["good_count"]) == ("sampled", 2)
        assert new.json()["reject_rate"] == pytest.approx(1 / 3)
        both = client.get(f"{BASE}/recalibration", params={"with_training": True}).json()
        assert both["good_count"] == 2 + before["good_count"]
        told = client.get(f"{BASE}/estimates").json()
        assert (told["sampled"], told["without_verdict"]) == (3, 0)
        assert told["false_rejects"]["count"] == 2
        assert told["missed"]["count"] == 1
        assert 0 <= told["escapes"]["low"] <= told["escapes"]["high"] <= 1


def test_recalibration_needs_parts(client: TestClient) -> None:
    answer = client.post(f"{BASE}/recalibration", json={"reason": "why not"})
    assert answer.status_code == 422
    assert "0 sampled parts with the verdict good" in answer.json()["detail"]


def test_another_models_parts_say_nothing_of_the_one_that_serves(opened, package: bytes, test_parts: Path) -> None:
    station = opened(audit_rate=1.0)
    with client_of(station) as client:
        files = upload(test_parts / "good", "000")
        (first,) = client.post(f"{BASE}/inspections", files=files).json()["inspections"]
        judge(client, first, "good")
        assert client.get(f"{BASE}/estimates").json()["sampled"] == 1
        octets = {"content-type": "application/octet-stream"}
        other = client.post(f"{BASE}/models/package", content=package, headers=octets).json()["id"]
        client.post(f"/v1/models/{other}/switch", json={"reason": "newer"})
        told = client.get(f"{BASE}/estimates").json()
        assert (told["model"], told["sampled"]) == (other, 0)
        assert client.get(f"{BASE}/estimates", params={"model": first["model"]}).json()["sampled"] == 1
        client.post(f"{BASE}/inspections", files=files)
        points = client.get(f"{BASE}/watch/score").json()["points"]
        assert first["id"] not in [point["id"] for point in points]
        versions = client.get(f"{BASE}/threshold/versions", params={"model": first["model"]}).json()["versions"]
        assert [version["id"] for version in versions] == [first["threshold"]]


def test_what_if_of_a_time_and_of_single_parts(client: TestClient, send) -> None:
    parts = [send("good")[0], send("chip")[0]]
    limits = {"reject_above": 1e6, "review_above": 1e5}
    told = client.get(f"{BASE}/threshold/what-if", params=limits).json()
    assert told["parts"] == 2
    changed = [one for one in parts if one["decision"] != "ok"]
    assert sorted(one["id"] for one in told["changed"]) == [one["id"] for one in changed]
    assert told["changed"][0]["verdict"] is None
    since = parts[1]["at"]
    assert client.get(f"{BASE}/threshold/what-if", params={**limits, "since": since}).json()["parts"] == 1
    assert client.get(f"{BASE}/threshold/what-if", params={**limits, "until": since}).json()["parts"] == 1
