"""Lessons from verdicts."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from trd_station.api.answers.describing import Time
from trd_station.api.answers.models import Estimate
from trd_station.api.answers.parts import Inspection
from trd_station.api.answers.teaching import Job

State = Literal[
    "waiting", "running", "failed", "cancelled", "refused", "asked", "taught", "serving", "taken_back", "replaced"
]


class LessonKind(BaseModel):
    """Parts of a kind of defects, null where the verdicts name none; marked: those with a mark of the place."""

    kind: str | None
    parts: int
    marked: int


class ProposedPart(BaseModel):
    """A part that people judged. verdict: the latest one. reason: why a lesson leaves it out: its files were not kept,
    it has no score, the detector was trained on it, its files were judged defective too (of a good part), a newer part
    has the same files, or it was sent with another camera.json than most."""

    inspection: Inspection
    verdict: int
    who: str
    kind: str | None
    marked: bool
    reason: Literal["files", "unreadable", "known", "defect", "copy", "camera"] | None


class ProposedGood(BaseModel):
    """Rejected parts with the verdict good, newest first. hindrance: why the detector cannot take them in. needed: how
    many a lesson needs; missing: how many of them there are not yet."""

    hindrance: str | None
    needed: int
    missing: int
    parts: list[ProposedPart]


class LessonProposal(BaseModel):
    """learner: the detector that would learn; of a package or a taught model the one that it was made from. hindrance:
    why it cannot learn. needed: defective parts of a lesson; missing: how many of them there are not yet.
    parts: with the verdict defect, newest first."""

    learner: str
    hindrance: str | None
    needed: int
    missing: int
    kinds: list[LessonKind]
    parts: list[ProposedPart]
    good: ProposedGood


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


class GoodPartFigures(BaseModel):
    """alarms: good parts above the threshold; with the lesson each by one of the others. detected, auroc: of the
    defects that judge, 0 and null without any."""

    alarms: int
    detected: int
    auroc: float | None


class GoodPartJudgement(BaseModel):
    """good: parts that were to be taken in. calibration: calibration parts. fall: mean fall of the good parts, in
    deviations of the calibration parts. auroc_change: of the defects against the calibration parts, null without
    defects. reasons: why it was refused."""

    good: int
    calibration: int
    defects: int
    before: GoodPartFigures
    after: GoodPartFigures
    fall: LessonInterval
    auroc_change: LessonInterval | None
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
    """learner: the detector that learned. models: those of the taught detector. kinds: of the taught defects.
    good_parts: how many were to be taken in. judging: how many defects only judged these. sure: how many look like
    defects and are good, as who asked said. unseen: defects that leave no trace without and with the lesson: too faint,
    marked at a wrong place, or good. above: good parts that stay above the threshold when the others are known.
    doubtful: good parts that look like the defects (state asked)."""

    job: Job
    state: State
    learner: str
    detector: str | None
    models: list[int]
    kinds: list[LessonKind]
    good_parts: int
    judging: int
    sure: int
    judgement: LessonJudgement | None
    good_judgement: GoodPartJudgement | None
    unseen: list[PartName]
    above: list[PartName]
    doubtful: list[PartName]
    service: LessonService | None
    gain: LessonGain | None


class Lessons(BaseModel):
    """Newest first."""

    lessons: list[Lesson]


class LessonPart(BaseModel):
    """use: taught as a defect, judges the good parts as one, or taken in as good. places: deviations of good parts from
    their mean, without and with a lesson that had not seen it."""

    inspection: int
    part: str
    use: Literal["taught", "judges", "good"]
    verdict: int
    who: str
    kind: str | None
    marked: bool
    digest: str
    places: tuple[float, float] | None


class LessonWithParts(Lesson):
    parts: list[LessonPart]
