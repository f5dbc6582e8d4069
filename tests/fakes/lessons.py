"""Drawn parts that are inspected, judged and marked at a station, and lessons that are always taken for better."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from stations import upload
from taught import ended

from trd.decision.calibration import Calibration
from trd.learning import good_parts, labels, learn, taking
from trd.learning.good_parts import GoodJudgement, Growth, judged_growth
from trd.learning.heads import Lesson
from trd.learning.judge import Judgement, judged
from trd.learning.labels import LessonOn, Likeness
from trd.learning.parts import LessonPart
from trd.types import State

CLASS = "/v1/classes/biscuit"


def judge_defects(client, labelled: Path, kinds: tuple[str, ...] = ("chip", "dent", "stain")) -> list[dict]:
    """Two parts of each kind of a drawn test split; their inspections. The first of a kind has a mark."""
    inspections = []
    for kind in kinds:
        for stem in ("000", "001"):
            files = upload(labelled / kind, stem)
            answer = client.post(f"{CLASS}/inspections", files=files, data={"part": f"{kind}-{stem}"})
            assert answer.status_code == 201, answer.text
            (inspection,) = answer.json()["inspections"]
            mask = base64.b64encode((labelled / kind / "gt" / f"{stem}.png").read_bytes()).decode()
            verdict = {"verdict": "defect", "kind": kind, **({"mask": mask} if stem == "000" else {})}
            told = client.post(f"/v1/inspections/{inspection['id']}/verdicts", json=verdict)
            assert told.status_code == 201, told.text
            inspections.append(inspection)
    return inspections


def reject_good(client, labelled: Path, count: int = 6) -> list[dict]:
    """Good parts of a drawn test split, which are rejected and judged good; their inspections."""
    client.put(f"{CLASS}/threshold", json={"reject_above": 0.1, "review_above": 0.05, "reason": "to see"})
    inspections = []
    for number in range(count):
        files = upload(labelled / "good", f"{number:03d}")
        answer = client.post(f"{CLASS}/inspections", files=files, data={"part": f"good-{number:03d}"})
        (inspection,) = answer.json()["inspections"]
        assert inspection["decision"] == "reject"
        client.post(f"/v1/inspections/{inspection['id']}/verdicts", json={"verdict": "good"})
        inspections.append(inspection)
    return inspections


def proposed(client, **query: int) -> dict:
    answer = client.get(f"{CLASS}/lessons/proposal", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def taught(client, **body: object) -> dict:
    """A lesson that has ended."""
    answer = client.post(f"{CLASS}/lessons", json=body)
    assert answer.status_code == 201, answer.text
    number = answer.json()["id"]
    ended(client, number)
    return client.get(f"/v1/lessons/{number}").json()


def better(patch: pytest.MonkeyPatch, *reasons: str, alike: int = 0) -> None:
    """Few calibration parts cannot tell whether a lesson makes a detector better: it is taken for better.

    reasons: why good parts are refused. alike: so many of them, the first ones, look like the defects.
    """

    def taken(lesson: Lesson) -> Judgement:
        return Judgement(**{**vars(judged(lesson)), "reasons": ()})

    patch.setattr(learn, "judged", taken)

    def grown(growth: Growth) -> tuple[GoodJudgement, State, Calibration]:
        judgement, state, calibration = judged_growth(growth)
        return replace(judgement, reasons=reasons), state, calibration

    def likenesses(_lesson_on: LessonOn, good: Sequence[LessonPart]) -> dict[str, Likeness]:
        return {part.id: Likeness(1.0 if number < alike else 0.0, 0.5) for number, part in enumerate(good)}

    patch.setattr(taking, "judged_growth", grown)
    patch.setattr(labels, "likenesses", likenesses)
    patch.setattr(good_parts, "FOLDS", 2)
