"""Lessons from verdicts: what one is made of, what becomes of it, and what it brought."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from jobs import jobs_in_this_process
from lessons import CLASS, better, judge_defects, proposed, taught
from stations import client_of, until, upload
from taught import BASE, ended, events_of, new_class

from trd.config import KNOWN_DEFECTS
from trd.data.defective import list_defective
from trd.detector import Detector
from trd_station.lessons.gain import Comparison, of_same_parts
from trd_station.lessons.lessons import Gain
from trd_station.lessons.parts import Candidate, _once, _same_camera, camera_of
from trd_station.lessons.service import Service, services, state_of
from trd_station.lessons.watch import LessonWatch
from trd_station.station import Station
from trd_station.store.verdicts import NewEvent
from trd_station.teaching.jobs import Job
from trd_station.teaching.labelled import kind_folder
from trd_station.teaching.lesson import TaughtPart

WHY = {"reason": "to see"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    jobs_in_this_process(monkeypatch)
    return monkeypatch


def put_in_service(client: TestClient, name: str) -> dict:
    model = client.post(f"{CLASS}/models", json={"name": name}).json()
    return client.post(f"/v1/models/{model['id']}/switch", json=WHY).json()


def test_what_is_missing_and_what_would_be_used(client: TestClient, labelled: Path, drawn: Path) -> None:
    first = proposed(client)
    assert (first["learner"], first["hindrance"], first["needed"], first["missing"]) == ("run/biscuit", None, 5, 5)
    judge_defects(client, labelled, ("chip",))
    judge_defects(client, labelled, ("chip",))  # the same files again
    known = upload(drawn / "biscuit/train/good", "000")
    (trained,) = client.post(f"{CLASS}/inspections", files=known).json()["inspections"]
    client.post(f"/v1/inspections/{trained['id']}/verdicts", json={"verdict": "defect"})
    told = proposed(client)
    assert told["missing"] == 3
    assert told["kinds"] == [{"kind": "chip", "parts": 2, "marked": 1}]
    reasons = {part["inspection"]["id"]: part["reason"] for part in told["parts"]}
    assert reasons == {1: "copy", 2: "copy", 3: None, 4: None, 5: "known"}
    refused = client.post(f"{CLASS}/lessons", json={})
    assert refused.status_code == 422
    assert "2 defective parts can be taught, at least 5 are needed" in refused.json()["detail"]
    assert client.get(f"{CLASS}/lessons").json() == {"lessons": []}
    assert client.get("/v1/lessons/1").json()["code"] == "no_lesson"


def test_a_lesson_is_taught_serves_and_is_taken_back(opened, labelled: Path, quick: pytest.MonkeyPatch) -> None:
    better(quick)
    station = opened()
    with client_of(station) as client:
        number = taught_served_and_taken_back(client, station, labelled)
    station.close()
    with client_of(opened()) as client:  # the class is not taught here, its jobs are read all the same
        (lesson,) = client.get(f"{CLASS}/lessons").json()["lessons"]
        assert (lesson["job"]["id"], lesson["state"]) == (number, "taken_back")
        assert "cannot be read" not in events_of(client)
        new_class(client)
        assert [job["id"] for job in client.get(f"{BASE}/jobs").json()["jobs"]] == [number]


def taught_served_and_taken_back(client: TestClient, station: Station, labelled: Path) -> int:
    """Its number."""
    parts = judge_defects(client, labelled)
    lesson = taught(client)
    assert (lesson["state"], lesson["learner"], lesson["unseen"]) == ("taught", "run/biscuit", lesson["unseen"])
    assert lesson["judgement"]["defects"] == 6
    assert lesson["judgement"]["gain"]["low"] is not None
    assert set(lesson["judgement"]["unlabelled"]) == {"chip", "dent", "stain"}
    assert [part["inspection"] for part in lesson["parts"]] == [part["id"] for part in reversed(parts)]
    assert all(len(part["places"]) == 2 and len(part["digest"]) == 16 for part in lesson["parts"])
    name = lesson["job"]["model"]
    assert name == f"lesson-{lesson['job']['id']}"
    record = json.loads((station.settings.models / name / "lesson.json").read_text("utf-8"))
    assert [one["verdict"] for one in record["verdicts"]] == [part["verdict"] for part in lesson["parts"]]
    assert {one["files"] for one in record["verdicts"]} == {one["files"] for one in record["defects"]}
    assert Detector.load(station.settings.models / name, "cpu").recipe.branches[-1] == KNOWN_DEFECTS

    not_yet = client.post(f"/v1/lessons/{lesson['job']['id']}/take-back", json=WHY)
    assert (not_yet.status_code, not_yet.json()["code"]) == (409, "conflict")
    model = put_in_service(client, name)
    (now,) = client.get(f"{CLASS}/lessons").json()["lessons"]
    assert (now["state"], now["models"], now["service"]["before"]) == ("serving", [model["id"]], 1)
    assert proposed(client)["learner"] == "run/biscuit"  # which learns all defects together
    back = client.post(f"/v1/lessons/{now['job']['id']}/take-back", json={"reason": "it rejects too much"}).json()
    assert (back["name"], back["state"]) == ("run/biscuit", "serving")
    (now,) = client.get(f"{CLASS}/lessons").json()["lessons"]
    assert (now["state"], now["service"]["who"], now["service"]["reason"]) == (
        "taken_back",
        "local",
        "it rejects too much",
    )
    number = now["job"]["id"]
    assert f"lesson {number} was taken back: run/biscuit (model 1) serves in the place" in events_of(client)
    return int(number)


def test_parts_can_be_left_out_and_kinds_have_folders(
    client: TestClient, station: Station, labelled: Path, quick: pytest.MonkeyPatch
) -> None:
    better(quick)
    parts = judge_defects(client, labelled)
    lesson = taught(client, leave_out=[parts[0]["id"]])
    assert Counter(part["kind"] for part in lesson["parts"]) == {"chip": 1, "dent": 2, "stain": 2}
    folder = station.teaching.queue.job(lesson["job"]["id"]).folder
    defects = list_defective(folder / "parts", ("rgb", "xyz"), ("xyz",), masked=True)
    assert {(part.id, part.mask is not None) for part in defects} == {
        (f"{part['kind']}/{part['inspection']:08d}", part["marked"]) for part in lesson["parts"]
    }


def candidate(number: int, digest: str, camera: str = "") -> Candidate:
    files = {"in.camera": [camera, ".json", 1]} if camera else {}
    part = TaughtPart(number, "part", number, "anna", None, (9, 9), {}, None, digest)
    return Candidate({"id": number, "files": files}, {}, part, camera or None, None)


def test_parts_are_read_once_and_by_one_camera() -> None:
    parts = [candidate(5, "a"), candidate(4, "a"), candidate(3, "b"), candidate(2, "c", "other"), candidate(1, "d")]
    reasons = [part.reason for part in _same_camera(_once(parts, {"b"}))]
    assert reasons == [None, "copy", "known", "camera", None]
    good = [part.reason for part in _once(parts, {"b"}, {"a", "b"})]
    assert good == ["defect", "defect", "known", None, None]
    most = [candidate(2, "a", "one"), candidate(1, "b", "one"), candidate(0, "c")]
    assert [part.reason for part in _same_camera(most)] == [None, None, "camera"]
    assert camera_of(most) == ("one", "one")
    assert camera_of([]) == (None, None)


def test_parts_whose_files_were_not_kept_are_left_out(opened, labelled: Path) -> None:
    with client_of(opened(keep_inputs="none")) as client:
        judge_defects(client, labelled, ("chip",))
        told = proposed(client)
        assert [part["reason"] for part in told["parts"]] == ["files", "files"]
        assert told["missing"] == 5


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        (None, "defect"),
        ("tiefer Kratzer", "tiefer_Kratzer"),
        ("good", "good_part"),
        ("rgb", "rgb_part"),
        ("masks", "masks_part"),
        ("../..", "defect"),
    ],
)
def test_folders_of_kinds(kind: str | None, folder: str) -> None:
    assert kind_folder(kind, ("rgb", "xyz")) == folder


def test_a_lesson_of_good_parts_is_refused(client: TestClient, labelled: Path, quick: pytest.MonkeyPatch) -> None:
    for number in range(6):
        files = upload(labelled / "good", f"{number:03d}")
        (part,) = client.post(f"{CLASS}/inspections", files=files).json()["inspections"]
        client.post(f"/v1/inspections/{part['id']}/verdicts", json={"verdict": "defect"})
    lesson = taught(client)
    assert (lesson["state"], lesson["job"]["state"], lesson["job"]["model"]) == ("refused", "done", None)
    assert any("do not stand out more" in reason for reason in lesson["judgement"]["reasons"])
    assert {part["id"] for part in lesson["unseen"]} <= {part["inspection"] for part in lesson["parts"]}
    assert "lesson: refused, " in events_of(client)
    assert [one["name"] for one in client.get("/v1/models").json()["found"]] == ["run/biscuit"]


def test_a_package_learns_by_the_folder_that_it_was_made_from(opened, quick_package: Path, quick_run: Path) -> None:
    with client_of(opened(quick_package, quick_run)) as client:
        told = proposed(client)
        assert (told["learner"], told["hindrance"]) == (f"{quick_run.name}/biscuit", None)


def test_one_that_cannot_learn_says_so_before(opened, quick_package: Path) -> None:
    with client_of(opened(quick_package)) as client:
        assert "is a package, which cannot learn" in proposed(client)["hindrance"]
        refused = client.post(f"{CLASS}/lessons", json={})
        assert (refused.status_code, "a package" in refused.json()["detail"]) == (422, True)


def test_the_gain_on_sampled_parts(opened, labelled: Path, quick: pytest.MonkeyPatch) -> None:
    """The lesson's limit lets everything through, which both models on the same parts show."""
    better(quick)
    station = opened(audit_rate=1.0)
    with client_of(station) as client:
        judge_defects(client, labelled)
        lesson = taught(client)
        number = lesson["job"]["id"]
        assert lesson["gain"] is None
        nothing = client.post(f"/v1/lessons/{number}/gain")
        assert "has not served" in nothing.json()["detail"]
        client.put(f"{CLASS}/threshold", json={"reject_above": 0.1, "review_above": 0.05, **WHY})
        put_in_service(client, lesson["job"]["model"])
        client.put(f"{CLASS}/threshold", json={"reject_above": 1e6, **WHY})
        assert "no sampled part was judged" in client.post(f"/v1/lessons/{number}/gain").json()["detail"]
        for stem in [f"{n:03d}" for n in range(6)] * 2:  # parts that no lesson has seen
            (part,) = client.post(f"{CLASS}/inspections", files=upload(labelled / "good", stem)).json()["inspections"]
            client.post(f"/v1/inspections/{part['id']}/verdicts", json={"verdict": "defect"})
        station.lesson_watch.look("biscuit", 1)
        gain = until(  # the station itself may have looked at the same moment, and both have begun to score
            lambda: (one := client.get(f"/v1/lessons/{number}").json()["gain"])["both"] and not one["scoring"] and one
        )
        assert (gain["audited"], gain["scoring"]) == (12, None)
        assert gain["over_time"]["found"]["lesson"] == {**gain["over_time"]["found"]["lesson"], "hits": 0, "count": 12}
        before, lesson = gain["both"]["found"]["before"], gain["both"]["found"]["lesson"]
        count = before["count"]  # the station itself may have looked when there were fewer
        assert 10 <= count <= 12
        assert (before["hits"], lesson["hits"], lesson["count"]) == (count, 0, count)
        assert gain["both"]["worse"] == ["found"]
        for _ in range(2):  # told once, scored once
            station.lesson_watch.look("biscuit", 1)
        alarms = client.get("/v1/events", params={"level": "alarm", "kind": "lesson"}).json()["events"]
        assert [alarm["data"] for alarm in alarms] == [{"lesson": number, "worse": ["found"]}]
        assert "0 of 12 defects rejected, before " in alarms[0]["text"] or f"0 of {count} defects" in alarms[0]["text"]
        trials = [job for job in station.teaching.queue.jobs("biscuit") if job.kind == "trial"]
        assert {(job.who, job.asked["lesson"]) for job in trials} == {("station", number)}


def test_parts_of_another_time_raise_no_alarm(station: Station) -> None:
    """Line and lamp change between them too."""
    worse = Comparison({}, ("found",))
    gain = Gain(audited=3, over_time=worse, both=None, trials=())
    lessons = SimpleNamespace(of_class=lambda _: [SimpleNamespace(state="serving")], gain=lambda _: gain)
    LessonWatch(station.database, lessons, lambda event: pytest.fail(event.text)).look("biscuit", 1)


def test_a_quiet_rule_makes_a_warning(client: TestClient, station: Station) -> None:
    client.put(f"{CLASS}/alarm-rules", json={"lesson": False, **WHY})
    row = station.alarms.watched(NewEvent("alarm", "lesson", "worse", 1)).result()
    assert row["level"] == "warning"


@pytest.mark.parametrize(
    ("alone", "worse"),
    [([8, 0], ["found"]), ([7, 0], []), ([12, 1], ["found"]), ([0, 8], []), ([], [])],
)
def test_when_same_parts_say_worse(alone: list[int], worse: list[str]) -> None:
    share = {"hits": 1, "count": 9}
    model = {"found": share, "false_alarms": share}
    result = {"models": [model, model], "alone": {"defect": alone, "good": []}}
    assert list(of_same_parts(result).worse) == worse


def test_when_it_served() -> None:
    events = [
        {"at": at, "data": {"from": before, "to": now, "who": "anna", "reason": "why"}}
        for at, before, now in ((1, None, 1), (2, 1, 7), (3, 7, 8), (4, 8, 1), (5, 1, 7), (6, 7, 2))
    ]
    first, last = services(events, {7, 8})
    assert (first.since, first.before, first.until, first.after) == (2, 1, 4, 1)
    assert (last.since, last.until, last.who) == (5, 6, "anna")
    detectors = {1: "a", 2: "b", 7: "c", 8: "c"}
    assert state_of(first, False, detectors) == "taken_back"
    assert state_of(last, False, detectors) == "replaced"
    assert state_of(Service(1, 1), True, detectors) == "serving"
    assert state_of(None, False, detectors) == "taught"
    assert state_of(Service(1, 1), False, detectors) == "replaced"  # nothing tells by which


def test_the_good_parts_of_a_lesson_are_those_of_the_detector_that_learned(station: Station) -> None:
    """An export of it compares with them."""
    folder = station.teaching.folder / "biscuit/jobs"
    trained = Job(1, "biscuit", "train", folder / "1", "anna", 0, model="lite-rgb-1")
    lesson = Job(2, "biscuit", "lesson", folder / "2", "anna", 0, model="lesson-2", asked={"model": "lite-rgb-1"})
    station.teaching.queue._jobs |= {1: trained, 2: lesson}
    assert station.teaching.data_of("biscuit", "lesson-2") == trained.parts
    assert station.teaching.data_of("biscuit", "run/biscuit") is None


def test_the_class_may_have_another_name_here(
    opened, run_folder: Path, labelled: Path, quick: pytest.MonkeyPatch
) -> None:
    better(quick)
    with client_of(opened(f"gear={run_folder}")) as client:
        for kind in ("chip", "dent", "stain"):
            for stem in ("000", "001"):
                files = upload(labelled / kind, stem)
                (part,) = client.post("/v1/classes/gear/inspections", files=files).json()["inspections"]
                client.post(f"/v1/inspections/{part['id']}/verdicts", json={"verdict": "defect"})
        number = client.post("/v1/classes/gear/lessons", json={}).json()["id"]
        name = ended(client, number)["model"]
        assert client.get("/v1/lessons/1").json()["kinds"] == [{"kind": None, "parts": 6, "marked": 0}]
        assert client.post("/v1/classes/gear/models", json={"name": name}).json()["state"] == "ready"
