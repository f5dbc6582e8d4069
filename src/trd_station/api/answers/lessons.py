"""Lessons from verdicts."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from trd_station.api.answers.describing import Time
from trd_station.api.answers.models import Estimate
from trd_station.api.answers.parts import Inspection
from trd_station.api.answers.teaching import Job

State = Literal["waiting", "running", "failed", "cancelled", "refused", "taught", "serving", "taken_back", "replaced"]


class LessonKind(BaseModel):
    """Parts of a kind of defects, null where the verdicts name none; marked: those with a mark of the place."""

    kind: str | None
    parts: int
    marked: int


class ProposedPart(BaseModel):
    """A part that people judged defective. verdict: the latest one. reason: why a lesson leaves it out: its files were
    not kept, it has no score, the detector was trained on it, a newer part has the same files, or it was sent with
    another camera.json than most."""

    inspection: Inspection
    verdict: int
    who: str
    kind: str | None
    marked: bool
    reason: Literal["files", "unreadable", "known", "copy", "camera"] | None


class LessonProposal(BaseModel):
    """learner: the detector that would learn; of a package or a taught model the one that it was made from. hindrance:
    why it cannot learn. needed: defective parts of a lesson; missing: how many of them there are not yet.
    wrongly_rejected: rejected parts with the verdict good. parts: newest first."""

    learner: str
    hindrance: str | None
    needed: int
    missing: int
    kinds: list[LessonKind]
    wrongly_rejected: int
    parts: list[ProposedPart]


class LessonFigures(BaseModel):
    """Of the taught defects, each by a lesson that had not seen it; detected: above the threshold."""

    auroc: float
    detected: int


class LessonInterval(BaseModel):
    """A value with its 95 % interval, null where it is not known."""

    value: float | None
    low: float | None
    high: float | None


class LessonJudgement(BaseModel):
    """good: calibration parts. gain: in deviations of good parts. unlabelled: kind -> image AUROC of its parts with a
    lesson of the other kinds, less that without a lesson. reasons: why it was refused."""

    defects: int
    good: int
    before: LessonFigures
    after: LessonFigures
    gain: LessonInterval
    unlabelled: dict[str, float]
    reasons: list[str]


class LessonService(BaseModel):
    """The last time in which a lesson served. before: the model in whose place; after: the one in its place since, who
    and why."""

    since: Time
    until: Time | None
    before: int | None
    after: int | None
    who: str | None
    reason: str | None


class SharePair(BaseModel):
    before: Estimate
    lesson: Estimate


class GainComparison(BaseModel):
    """Rejected defects (found) and rejected good parts (false_alarms) among judged sampled parts. worse: what got worse
    beyond chance."""

    found: SharePair
    false_alarms: SharePair
    worse: list[Literal["found", "false_alarms"]]


class LessonGain(BaseModel):
    """audited: sampled parts that were judged since the switch. over_time: those that the model before decided, and
    those decided since. both: the latter by both models, of the job `trial`. scoring: a job that does so now."""

    audited: int
    over_time: GainComparison
    both: GainComparison | None
    trial: int | None
    scoring: int | None


class PartName(BaseModel):
    id: int
    part: str


class Lesson(BaseModel):
    """learner: the detector that learned. models: those of the taught detector. unseen: parts that leave no trace
    without and with the lesson: too faint, marked at a wrong place, or good."""

    job: Job
    state: State
    learner: str
    detector: str | None
    models: list[int]
    kinds: list[LessonKind]
    judgement: LessonJudgement | None
    unseen: list[PartName]
    service: LessonService | None
    gain: LessonGain | None


class Lessons(BaseModel):
    """Newest first."""

    lessons: list[Lesson]


class LessonPart(BaseModel):
    """places: deviations of good parts from their mean, without and with a lesson that had not seen it."""

    inspection: int
    part: str
    verdict: int
    who: str
    kind: str | None
    marked: bool
    digest: str
    places: tuple[float, float] | None


class LessonWithParts(Lesson):
    parts: list[LessonPart]
