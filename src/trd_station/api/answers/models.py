"""Models, thresholds, recalibration."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from trd_station.api.answers.describing import Judgement, Scored, Time


class Check(BaseModel):
    name: str
    passed: bool
    detail: str


class SelfTest(BaseModel):
    passed: bool
    at: Time
    seconds: float
    checks: list[Check]


class Model(BaseModel):
    """A detector of a class. What a model that never loaded does not tell is null."""

    id: int
    class_: str = Field(alias="class")
    name: str
    state: Literal["serving", "ready", "failed", "retired"]
    error: str | None
    detector: str
    calibration: str
    recipe: str | None
    evidence: list[str] | None
    engine: str | None
    device: str | None
    precision: str | None
    false_alarm_rate: float | None
    guaranteed_rate: float | None
    promise: str | None
    good_count: int | None
    ranges: dict[str, str]
    self_test: SelfTest | None
    at: Time | None
    who: str
    inspections: int


class Found(BaseModel):
    """A detector that can be loaded."""

    name: str
    class_: str = Field(alias="class")
    detector: str


class Models(BaseModel):
    """roll_back: the model of the class that was asked for that served before; null where none did."""

    models: list[Model]
    found: list[Found]
    roll_back: int | None


class Promised(BaseModel):
    review_above: float
    reject_above: float
    review_rate: float
    reject_rate: float
    promise: Literal["guaranteed", "estimated"]
    good_count: int


class Threshold(Promised):
    """A version of both limits."""

    id: int
    class_: str = Field(alias="class")
    model: int
    active: bool
    from_: Literal["training", "sampled", "both"] = Field(alias="from")
    at: Time
    who: str
    reason: str


class Thresholds(BaseModel):
    """Newest first."""

    versions: list[Threshold]


class Decided(BaseModel):
    """Numbers of parts."""

    ok: int
    review: int
    reject: int


class Change(BaseModel):
    from_: Scored = Field(alias="from")
    to: Scored
    count: int


class Flip(BaseModel):
    """A part whose decision would be another one."""

    id: int
    part: str
    score: float
    verdict: Judgement | None
    from_: Scored = Field(alias="from")
    to: Scored


class WhatIf(Promised):
    """What other limits would have made of the parts that were seen. flips: of those with verdicts, changed: of those
    without."""

    parts: int
    now: Decided
    then: Decided
    changes: list[Change]
    verdicts: dict[Judgement, Decided]
    flips: list[Flip]
    changed: list[Flip]
    compute_ms: float


class Histogram(BaseModel):
    """Numbers of parts between neighbouring edges."""

    edges: list[float]
    all: list[int]
    good: list[int]
    defect: list[int]
    unsure: list[int]
    calibration: list[int]


class Refused(BaseModel):
    not_sampled: int
    not_good: int
    other_model: int


class Proposal(BaseModel):
    """What a recalibration would be."""

    usable: int
    refused: Refused
    good_count: int
    proposal: WhatIf | None
    enough_for_rate: float
    note: str | None


class Estimate(BaseModel):
    """A share with its 95 % interval."""

    hits: int
    count: int
    value: float | None
    low: float
    high: float


class Estimates(BaseModel):
    """From sampled parts of one model that were judged."""

    false_rejects: Estimate
    false_reviews: Estimate
    escapes: Estimate
    missed: Estimate
    model: int
    sampled: int
    without_verdict: int
    audit_rate: float
