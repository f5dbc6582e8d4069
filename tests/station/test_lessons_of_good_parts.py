"""Rejected good parts in lessons from verdicts: taken in, refused, asked about."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from jobs import jobs_in_this_process
from lessons import CLASS, better, judge_defects, proposed, reject_good, taught
from stations import upload
from taught import events_of

from trd.config.patch_statistics import PatchStatisticsConfig
from trd.learning import learn
from trd.learning.judge import judged
from trd.packages.facts import digests_of_parts
from trd_station.station import Station


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    jobs_in_this_process(monkeypatch)
    return monkeypatch


def test_good_parts_are_taken_in_beside_the_defects(
    client: TestClient, station: Station, labelled: Path, quick: pytest.MonkeyPatch
) -> None:
    better(quick)
    judge_defects(client, labelled)
    good = reject_good(client, labelled)
    offered = proposed(client)["good"]
    assert (offered["hindrance"], offered["needed"], offered["missing"]) == (None, 5, 0)
    assert [part["inspection"]["id"] for part in offered["parts"]] == [part["id"] for part in reversed(good)]
    lesson = taught(client, good=True, leave_out=[good[0]["id"]])
    assert (lesson["state"], lesson["good_parts"], lesson["judging"], lesson["doubtful"]) == ("taught", 5, 0, [])
    assert (lesson["judgement"]["defects"], lesson["good_judgement"]["defects"]) == (6, 6)
    assert lesson["good_judgement"]["good"] == 5
    assert [part["use"] for part in lesson["parts"]] == ["taught"] * 6 + ["good"] * 5
    assert all(len(part["places"]) == 2 for part in lesson["parts"])
    folder = station.settings.models / lesson["job"]["model"]
    record = json.loads((folder / "lesson.json").read_text("utf-8"))
    assert [one["verdict"] for one in record["verdicts"]] == [part["verdict"] for part in lesson["parts"]]
    digests = {part["digest"] for part in lesson["parts"] if part["use"] == "good"}
    assert {part["files"] for part in record["good"]} == digests <= digests_of_parts(folder)  # no trial has them


def test_defects_that_are_not_taught_judge_good_parts(
    client: TestClient, labelled: Path, quick: pytest.MonkeyPatch
) -> None:
    better(quick, "more of them are above the threshold: 2 instead of 1")
    judge_defects(client, labelled)
    reject_good(client, labelled)
    lesson = taught(client, defects=False, good=True)
    assert (lesson["state"], lesson["judgement"], lesson["kinds"], lesson["judging"]) == ("refused", None, [], 6)
    assert (lesson["good_judgement"]["good"], lesson["good_judgement"]["defects"]) == (6, 6)
    assert len(lesson["good_judgement"]["reasons"]) == 1
    assert {part["use"] for part in lesson["parts"]} == {"judges", "good"}
    assert "refused, more of them are above the threshold" in events_of(client)


def test_good_parts_that_pass_are_shown_where_the_defects_are_refused(
    client: TestClient, labelled: Path, quick: pytest.MonkeyPatch
) -> None:
    better(quick)
    quick.setattr(learn, "judged", lambda lesson: replace(judged(lesson), reasons=("they bring nothing",)))
    judge_defects(client, labelled)
    reject_good(client, labelled)
    lesson = taught(client, good=True)
    assert (lesson["state"], lesson["judgement"]["reasons"]) == ("refused", ["they bring nothing"])
    assert (lesson["good_judgement"]["good"], lesson["good_judgement"]["reasons"]) == (6, [])


def test_too_few_defects_judge_nothing(client: TestClient, labelled: Path, quick: pytest.MonkeyPatch) -> None:
    better(quick)
    judge_defects(client, labelled, ("chip",))
    reject_good(client, labelled)
    lesson = taught(client, defects=False, good=True)
    assert (lesson["state"], lesson["judging"], lesson["good_judgement"]["auroc_change"]) == ("taught", 0, None)


def test_good_parts_that_look_like_defects_are_asked_about(
    client: TestClient, station: Station, labelled: Path, quick: pytest.MonkeyPatch
) -> None:
    better(quick, alike=2)
    judge_defects(client, labelled)
    good = reject_good(client, labelled)
    lesson = taught(client, defects=False, good=True)
    assert (lesson["state"], lesson["job"]["state"], lesson["job"]["model"]) == ("asked", "done", None)
    assert lesson["doubtful"] == [{"id": part["id"], "part": part["part"]} for part in reversed(good[:2])]
    assert "asks for a second look, 2 of 6 good parts look like the labelled defects" in events_of(client)
    half = taught(client, defects=False, good=True, sure=[good[0]["id"]])
    assert (half["state"], half["sure"], len(half["doubtful"])) == ("asked", 1, 2)
    assert not (station.teaching.queue.job(half["job"]["id"]).folder / "learned").exists()
    sure = taught(client, defects=False, good=True, sure=[part["id"] for part in good[:2]])
    assert (sure["state"], sure["sure"]) == ("taught", 2)
    record = json.loads((station.settings.models / sure["job"]["model"] / "lesson.json").read_text("utf-8"))
    assert {(one["inspection"], one["who"]) for one in record["sure"]} == {(part["id"], "local") for part in good[:2]}
    assert "local has looked at good parts that look like defects, they are good: good-001, good-000" in events_of(
        client
    )


def test_what_stands_against_good_parts_alone(
    client: TestClient, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_defects(client, labelled, ("chip",))
    client.put(f"{CLASS}/threshold", json={"reject_above": 0.1, "review_above": 0.05, "reason": "to see"})
    for kind, stem in (("chip", "000"), ("good", "000")):  # the first was judged defective before
        (part,) = client.post(f"{CLASS}/inspections", files=upload(labelled / kind, stem)).json()["inspections"]
        client.post(f"/v1/inspections/{part['id']}/verdicts", json={"verdict": "good"})
    offered = proposed(client)["good"]
    assert ([part["reason"] for part in offered["parts"]], offered["missing"]) == ([None, "defect"], 4)
    refused = client.post(f"{CLASS}/lessons", json={"defects": False, "good": True})
    assert "1 rejected good parts can be taken in, at least 5 are needed" in refused.json()["detail"]
    nothing = client.post(f"{CLASS}/lessons", json={"defects": False})
    assert "ask for one of them" in nothing.json()["detail"]
    monkeypatch.setattr(PatchStatisticsConfig, "grows", False)
    told = proposed(client)
    assert told["hindrance"] is None
    assert "takes in good parts without a training" in told["good"]["hindrance"]
    refused = client.post(f"{CLASS}/lessons", json={"defects": False, "good": True})
    assert (refused.status_code, "a memory bank" in refused.json()["detail"]) == (422, True)
