"""Classes, counts, watch, events; session and settings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from trd_station.api.answers.describing import Decision, Role, Time
from trd_station.api.answers.models import Decided, Model, Threshold
from trd_station.api.answers.parts import Size, Window
from trd_station.settings import KeepInputs


class Source(BaseModel):
    name: str
    kind: Literal["image", "cloud"]
    suffixes: list[str]


class PartClass(BaseModel):
    """A class of parts, with the model and the limits that serve it."""

    name: str
    ready: bool
    sources: list[Source]
    modalities: list[str]
    branches: list[str]
    sensor: Size | None
    window: Window | None
    model: Model | None
    threshold: Threshold | None
    review_open: int
    alarms_open: int


class Classes(BaseModel):
    classes: list[PartClass]


class Total(Decided):
    invalid: int


class Bucket(Total):
    """Numbers of parts from a time on."""

    at: Time


class Stats(BaseModel):
    buckets: list[Bucket]
    total: Total


class Stream(BaseModel):
    """A measure that is watched."""

    name: str
    unit: str
    value: float | None
    training: tuple[float, float] | None
    inside: bool | None
    reference: tuple[float, float] | None
    count: int
    log10_evidence: float
    alarm_at: float
    alarm: bool
    alarm_since: Time | None
    ready: bool


class Watch(BaseModel):
    false_alarm_rate: float
    since: Time | None
    streams: list[Stream]


class Point(BaseModel):
    """A part's value; id: of its inspection."""

    id: int
    at: Time
    value: float
    decision: Decision


class Series(BaseModel):
    """Oldest first."""

    name: str
    points: list[Point]


class Event(BaseModel):
    """Something that happened."""

    id: int
    at: Time
    class_: str | None = Field(alias="class")
    level: Literal["info", "warning", "alarm"]
    kind: str
    text: str
    data: dict[str, Any]
    acknowledged_by: str | None
    acknowledged_at: Time | None
    cause: str | None


class Events(BaseModel):
    """A page of events, newest first."""

    events: list[Event]
    next: str | None


class ClassRules(BaseModel):
    """When an alarm of a class is raised; 0 is off."""

    rejects_in_row: int
    reject_rate: float
    reject_window: int
    invalid_in_row: int
    drift: bool
    lesson: bool


class StationRules(BaseModel):
    """When an alarm of the whole station is raised; 0 is off."""

    output_dead_s: float
    disk_free_gb: float


class Session(BaseModel):
    name: str | None
    role: Role | None
    tokens: bool
    version: str
    station: str


class Health(BaseModel):
    status: Literal["ok"]


class Ready(BaseModel):
    """classes: whether each is served."""

    status: Literal["ready"]
    classes: dict[str, bool]


class StationSettings(BaseModel):
    capacity: int
    max_parts: int
    max_body_bytes: int
    max_model_bytes: int
    max_pixels: int
    audit_rate: float
    keep_inputs: KeepInputs
    keep_days: float
    keep_bytes: int
    used_bytes: int
