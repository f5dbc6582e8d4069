"""Models: what there is, load, self-test, switch, roll back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.models import Model, Models
from trd_station.api.common import Identifier, class_id_of, serving_of, station_of
from trd_station.api.problems import Problem
from trd_station.api.threshold import Why, reason_in
from trd_station.shelf.shelf import RefusedModel
from trd_station.station import Station
from trd_station.store import versions
from trd_station.store.verdicts import NewEvent
from trd_station.store.versions import ModelVersion

routes = router()
VIEWER, ENGINEER = needs("viewer"), needs("engineer")


@routes.get("/v1/models", openapi_extra=VIEWER, responses=describe(Models))
def models(
    request: Request, class_: Annotated[str | None, Query(alias="class", max_length=200)] = None
) -> dict[str, Any]:
    station = station_of(request)
    number = None if class_ is None else class_id_of(station, class_)
    with station.database.reading() as connection:
        model_versions = versions.models(connection, number)
    available = [
        {"name": candidate.name, "class": candidate.class_name, "detector": candidate.detector}
        for candidate in station.shelf.available().values()
        if class_ is None or candidate.class_name == class_
    ]
    return {
        "models": [station.model_json(version) for version in model_versions],
        "found": available,
        "roll_back": _before(station, class_),
    }


def _before(station: Station, class_name: str | None) -> int | None:
    """The model that a roll back would have serve."""
    if class_name is None or station.shelf.serving(class_name) is None:
        return None
    before = station.shelf.before(class_name)
    return None if before is None else before.id


def model_of(station: Station, number: int) -> ModelVersion:
    with station.database.reading() as connection:
        version = versions.model_by_id(connection, number)
    if version is None:
        raise Problem(404, "no_model", f"there is no model {number}")
    return version


@routes.get("/v1/models/{number}", openapi_extra=VIEWER, responses=describe(Model))
def one_model(request: Request, number: Identifier) -> dict[str, Any]:
    station = station_of(request)
    return station.model_json(model_of(station, number))


class Name(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)


@routes.post("/v1/classes/{class_name}/models", status_code=201, openapi_extra=ENGINEER, responses=describe(Model, 201))
def load(request: Request, class_name: str, body: Name) -> JSONResponse:
    """Loaded, tested and warm; it does not serve yet."""
    station = station_of(request)
    class_id_of(station, class_name)
    try:
        return loaded(station, class_name, body.name, lambda: station.shelf.load(class_name, body.name, who(request)))
    except KeyError as error:
        detector_names = [
            detector_name
            for detector_name, candidate in station.shelf.available().items()
            if candidate.class_name == class_name
        ]
        listed = ", ".join(detector_names)
        message = f"no model '{body.name[:60]}' was found; there are: {listed}"
        raise Problem(404, "no_model", message) from error


def loaded(station: Station, class_name: str, name: str, load: Callable[[], ModelVersion]) -> JSONResponse:
    """A model that `load` loads and tests for a class; one that is refused becomes an alarm. Raises RefusedModel."""
    try:
        version = load()
    except RefusedModel as error:
        station.report(NewEvent("alarm", "self_test", f"{name}: {error}", error.version.class_id))
        raise
    station.changed("model", class_name)
    return JSONResponse(station.model_json(version), 201)


@routes.post("/v1/models/{number}/self-test", openapi_extra=ENGINEER, responses=describe(Model))
def self_test(request: Request, number: Identifier) -> dict[str, Any]:
    station = station_of(request)
    version = station.shelf.test(model_of(station, number))
    if version.error:
        station.report(NewEvent("alarm", "self_test", f"{version.name}: {version.error}", version.class_id))
    return station.model_json(version)


@routes.post("/v1/models/{number}/switch", openapi_extra=ENGINEER, responses=describe(Model))
def switch(request: Request, number: Identifier, body: Why) -> dict[str, Any]:
    station = station_of(request)
    return switched(station, model_of(station, number), who(request), body.reason)


@routes.post("/v1/classes/{class_name}/models/roll-back", openapi_extra=ENGINEER, responses=describe(Model))
def roll_back(request: Request, class_name: str, body: Why) -> dict[str, Any]:
    """To the model that served before."""
    station = station_of(request)
    serving_of(station, class_name)
    before = station.shelf.before(class_name)
    if before is None:
        raise Problem(409, "conflict", f"no other model has served '{class_name}' before")
    return switched(station, before, who(request), body.reason)


def switched(
    station: Station, version: ModelVersion, name: str, reason: str, lesson: int | None = None
) -> dict[str, Any]:
    """The model, which serves from the next part on. lesson: that is taken back by it."""
    class_name = station.serializer.class_name(version.class_id)
    why = reason_in(reason)
    with station.changing:
        was = station.shelf.serving(class_name)
        now = station.shelf.switch(version)
        if was is None:
            text = f"{now.name} (model {now.id}) serves, by {name}: {why}"
            station.report(NewEvent("info", "model", text, now.class_id, {"from": None, "to": now.id}))
        elif was.version.id != now.id:
            station.watch.new_model(now.class_id)
            shadow = station.shadows.running(now.class_id)
            if shadow is not None and shadow[0].model_id == now.id:
                station.shadows.end(now.class_id)
            both = f"{now.name} (model {now.id}) serves in the place of {was.version.name} ({was.version.id})"
            text = f"{both}, by {name}: {why}"
            if lesson is not None:
                text = f"lesson {lesson} was taken back: {text}"
            data = {"from": was.version.id, "to": now.id, "who": name, "reason": why, "lesson": lesson}
            station.report(NewEvent("info", "model", text, now.class_id, data)).result()  # lessons are told by it
    station.changed("model", class_name)
    return station.model_json(now)
