"""Drawn defects that are inspected, judged and marked at a station, and lessons that are always taken for better."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from stations import upload

from trd.learning import learn
from trd.learning.heads import Lesson
from trd.learning.judge import Judgement, judged

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


def better(patch: pytest.MonkeyPatch) -> None:
    """Few calibration parts cannot tell whether a lesson makes a detector better: it is taken for better."""

    def taken(lesson: Lesson) -> Judgement:
        return Judgement(**{**vars(judged(lesson)), "reasons": ()})

    patch.setattr(learn, "judged", taken)
