"""Classes that are taught, their parts and jobs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from trd_station.api.answers.describing import Decision, Judgement, Time
from trd_station.api.answers.models import Model
from trd_station.api.answers.operation import Source
from trd_station.api.answers.parts import Size
from trd_station.teaching.settings import Layout

Kind = Literal["check", "train", "trial", "export", "lesson"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]


class Stage(BaseModel):
    """What a job is at; left_s: seconds until this stage ends."""

    title: str
    done: int
    total: int
    left_s: float | None


class Job(BaseModel):
    """ahead: jobs that are done before it. model: under which name what it made can be loaded."""

    id: int
    class_: str = Field(alias="class")
    kind: Kind
    state: State
    recipe: str | None
    asked: dict[str, Any]
    ahead: int
    stage: Stage | None
    error: str | None
    model: str | None
    at: Time
    begun: Time | None
    ended: Time | None
    who: str


class FinishedJob(Job):
    """result: depends on the kind, null before the job is done. log: its end."""

    result: dict[str, Any] | None
    log: str


class Jobs(BaseModel):
    """Newest first."""

    jobs: list[Job]


class ShippedRecipe(BaseModel):
    name: str
    description: str


class Missing(BaseModel):
    """What stands against a step; null: nothing."""

    train: str | None
    switch: str | None
    trial: str | None


class TaughtClass(BaseModel):
    """parts: good ones. needed: for a false-alarm rate of 5 % with the first detector. promised_rate: with the parts as
    they are. folder: a data folder for `trd train`. drop: a folder with a folder for each source, from which complete
    parts are collected. inspect, ignore: polygons of [x, y] in pixels of the frame. first, network: the steps' recipes;
    null where none is shipped."""

    name: str
    layout: Layout
    sources: list[Source]
    folder: str
    drop: str
    parts: int
    needed: int
    recommended: int
    promised_rate: float | None
    frame: Size | None
    has_camera: bool
    inspect: list[list[list[float]]]
    ignore: list[list[list[float]]]
    recipes: list[ShippedRecipe]
    first: str
    network: str | None
    served: bool
    missing: Missing
    jobs: list[Job]


class TaughtClasses(BaseModel):
    classes: list[TaughtClass]


class GoodPart(BaseModel):
    """files: source -> name of its file."""

    name: str
    files: dict[str, str]


class GoodParts(BaseModel):
    """By name."""

    parts: list[GoodPart]


class Collected(BaseModel):
    """state: "copy" where the part named is the same. name: in the collection; null where it was refused."""

    sent_as: str
    state: Literal["kept", "copy", "refused"]
    name: str | None
    reason: str | None


class CollectedParts(BaseModel):
    """count: good parts that there are now."""

    parts: list[Collected]
    count: int


class Agreement(BaseModel):
    """Parts by who rejects them: both models, the serving one alone, the shadow alone, neither. verdict: null for parts
    without one."""

    verdict: Judgement | None
    both: int
    serving: int
    shadow: int
    neither: int


class ShadowFlip(BaseModel):
    """A part that only one of both rejects."""

    id: int
    part: str
    verdict: Judgement | None
    score: float
    decision: Decision
    shadow_score: float
    shadow_rejects: bool


class Shadow(BaseModel):
    """skipped: parts since the station's start that it did not score, because too many came or files were not kept."""

    model: Model
    reject_above: float
    scoring: bool
    since: Time
    until: Time | None
    who: str
    parts: int
    skipped: int
    agreement: list[Agreement]
    flips: list[ShadowFlip]


class ShadowOrNone(BaseModel):
    shadow: Shadow | None
