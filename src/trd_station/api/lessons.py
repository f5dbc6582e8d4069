"""Lessons from verdicts: what one would be made of, asked for, what became of it, taken back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.lessons import LessonProposal, Lessons, LessonWithParts
from trd_station.api.answers.models import Model
from trd_station.api.answers.teaching import Job as JobAnswer
from trd_station.api.common import GREATEST, Identifier, class_id_of, serving_of, station_of
from trd_station.api.models import model_of, switched
from trd_station.api.problems import Problem
from trd_station.api.threshold import Why
from trd_station.lessons import serialization
from trd_station.lessons.lessons import Lesson
from trd_station.lessons.proposals import Wish
from trd_station.station import Station
from trd_station.store.versions import ModelVersion
from trd_station.teaching.serialization import job_json

routes = router()
VIEWER, ENGINEER = needs("viewer"), needs("engineer")
OF_CLASS, ONE = "/v1/classes/{class_name}/lessons", "/v1/lessons/{number}"

ModelNumber = Annotated[int, Field(ge=1, le=GREATEST)]


def _model_in(station: Station, class_name: str, number: int | None) -> ModelVersion:
    """The serving one where none is named. Raises Problem."""
    if number is None:
        return serving_of(station, class_name).version
    version = model_of(station, number)
    if version.class_id != class_id_of(station, class_name):
        raise Problem(404, "no_model", f"there is no model {number} of '{class_name[:60]}'")
    return version


def _lesson_json(station: Station, lesson: Lesson) -> dict[str, Any]:
    return serialization.lesson_json(station.lessons, station.teaching.queue, lesson)


@routes.get(f"{OF_CLASS}/proposal", openapi_extra=VIEWER, responses=describe(LessonProposal))
def proposal(
    request: Request, class_name: str, model: Annotated[int | None, Query(ge=1, le=GREATEST)] = None
) -> dict[str, Any]:
    """What a lesson would be made of now, and what is missing; model: that learns, by default the one that serves."""
    station = station_of(request)
    version = _model_in(station, class_name, model)
    return serialization.proposal_json(station.serializer, station.proposals.proposal(version))


@routes.get(OF_CLASS, openapi_extra=VIEWER, responses=describe(Lessons))
def of_class(request: Request, class_name: str) -> dict[str, Any]:
    station = station_of(request)
    class_id_of(station, class_name)
    return {"lessons": [_lesson_json(station, lesson) for lesson in station.lessons.of_class(class_name)]}


class NewLesson(BaseModel):
    """model: that learns, by default the one that serves. leave_out: inspections that are not taught. defects: teach
    them; else they only judge the good parts. good: take in good parts that were rejected. sure: inspections of good
    parts that look like defects and are good: somebody has looked."""

    model_config = ConfigDict(extra="forbid")

    model: ModelNumber | None = None
    leave_out: list[ModelNumber] = Field([], max_length=1000)
    defects: bool = True
    good: bool = False
    sure: list[ModelNumber] = Field([], max_length=1000)


@routes.post(OF_CLASS, status_code=201, openapi_extra=ENGINEER, responses=describe(JobAnswer, 201))
def new_lesson(request: Request, class_name: str, body: NewLesson) -> JSONResponse:
    """A job that teaches what people judged; it ends with a model, asks about good parts, or is refused with the
    reasons."""
    station = station_of(request)
    version = _model_in(station, class_name, body.model)
    wish = Wish(frozenset(body.leave_out), body.defects, body.good, tuple(body.sure))
    job = station.proposals.ask(version, wish, who(request))
    return JSONResponse(job_json(station.teaching.queue, job), 201)


def _lesson_of(station: Station, number: int) -> Lesson:
    try:
        return station.lessons.lesson(number)
    except KeyError as error:
        raise Problem(404, "no_lesson", f"there is no lesson {number}") from error


@routes.get(ONE, openapi_extra=VIEWER, responses=describe(LessonWithParts))
def one_lesson(request: Request, number: Identifier) -> dict[str, Any]:
    """With its parts: whose verdict, the digest of the files, and where the part lies without and with the lesson."""
    station = station_of(request)
    lesson = _lesson_of(station, number)
    return {**_lesson_json(station, lesson), "parts": serialization.parts_json(lesson)}


@routes.post(f"{ONE}/gain", status_code=201, openapi_extra=ENGINEER, responses=describe(JobAnswer, 201))
def score_audited(request: Request, number: Identifier) -> JSONResponse:
    """A job in which the model before and the lesson's score the sampled parts that were judged since the switch."""
    station = station_of(request)
    job = station.lessons.score_audited(_lesson_of(station, number), who(request))
    return JSONResponse(job_json(station.teaching.queue, job), 201)


@routes.post(f"{ONE}/take-back", openapi_extra=ENGINEER, responses=describe(Model))
def take_back(request: Request, number: Identifier, body: Why) -> dict[str, Any]:
    """The model before the lesson serves again."""
    station = station_of(request)
    lesson = _lesson_of(station, number)
    before = station.lessons.before(lesson) if lesson.state == "serving" else None
    if before is None:
        raise Problem(409, "conflict", f"lesson {number} cannot be taken back: it is {lesson.state}")
    return switched(station, before, who(request), body.reason, lesson=number)
