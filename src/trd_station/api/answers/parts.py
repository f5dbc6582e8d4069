"""Inspections, verdicts, review."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from trd_station.api.answers.describing import Decision, Judgement, Scored, Time


class Size(BaseModel):
    height: int
    width: int


class Window(Size):
    top: int
    left: int


class KindSuggestion(BaseModel):
    """The nearest kind of taught defect, "" where the part is unlike all of them. likeness: kind -> 0 to 1, nearest
    first."""

    kind: str
    likeness: dict[str, float]


class Inspection(BaseModel):
    """A part and its decision."""

    id: int
    class_: str = Field(alias="class")
    part: str
    at: Time
    origin: Literal["api", "folder", "replay", "camera"]
    decision: Decision
    reason: str | None
    score: float | None
    p_value: float | None
    good_count: int
    review_above: float
    reject_above: float
    share: dict[str, float] | None
    peak: tuple[int, int] | None
    region: str | None
    kind_suggestion: KindSuggestion | None
    pixel_threshold: float | None
    notes: list[str]
    measures: dict[str, float]
    model: int
    detector: str
    calibration: str
    threshold: int
    sampled: bool
    queue: Literal["review", "audit"] | None
    verdict: Judgement | None
    verdict_kind: str | None
    frame: Size | None
    window: Window | None
    maps: list[str]
    images: list[str]
    inputs: dict[str, str]
    has_cloud: bool
    pruned: bool
    timings: dict[str, float]


class Under(BaseModel):
    """What a model, with a version of its threshold or other limits, makes of a part.

    threshold: null of a model that has not served yet.
    """

    inspection: int
    model: int
    threshold: int | None
    score: float
    decision: Scored
    p_value: float
    review_above: float
    reject_above: float


class NearestGood(BaseModel):
    """Null where no good part was inspected whose files are there."""

    inspection: Inspection | None


class Verdict(BaseModel):
    """What a person said of a part."""

    id: int
    inspection: int
    verdict: Judgement
    kind: str | None
    reason: str | None
    who: str
    at: Time
    has_mask: bool


class JudgedInspection(Inspection):
    """An inspection with its verdicts, oldest first."""

    verdicts: list[Verdict]


class Inspected(BaseModel):
    """In the order in which the parts were sent."""

    inspections: list[Inspection]


class Inspections(Inspected):
    """A page of inspections."""

    next: str | None


class Count(BaseModel):
    count: int
    exact: bool


class Contours(BaseModel):
    """Closed outlines of (row, column)."""

    level: float
    contours: list[list[tuple[int, int]]]


class Verdicts(BaseModel):
    verdicts: list[Verdict]


class Kinds(BaseModel):
    kinds: list[str]


class Waiting(BaseModel):
    review: int
    audit: int


class AskedInspection(Inspection):
    """A part that waits for a verdict, and why it is asked about now."""

    why: Literal["audit", "near_limit", "unlike_reviewed"]


class Review(BaseModel):
    """Parts that wait for a verdict, those that teach most first, with the oldest random ones in between."""

    inspections: list[AskedInspection]
    open: Waiting
    done_today: int
