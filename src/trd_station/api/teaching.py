"""Classes that are taught: new ones, their camera and region of interest, and jobs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.teaching import TaughtClass as TaughtClassAnswer
from trd_station.api.answers.teaching import TaughtClasses
from trd_station.api.common import class_id_of, station_of
from trd_station.api.problems import Problem
from trd_station.station import Station
from trd_station.teaching import serialization
from trd_station.teaching.settings import Layout, write_camera
from trd_station.teaching.teaching import TaughtClass

routes = router()
VIEWER, ENGINEER = needs("viewer"), needs("engineer")
BASE = "/v1/teaching/{class_name}"
CAMERA_BYTES = 1_000_000

Coordinate = Annotated[float, Field(ge=-65535, le=65535, allow_inf_nan=False)]
Polygon = Annotated[list[tuple[Coordinate, Coordinate]], Field(min_length=3, max_length=1000)]
Polygons = Annotated[list[Polygon], Field(max_length=100)]


def taught_of(station: Station, name: str) -> TaughtClass:
    try:
        return station.teaching[name]
    except KeyError as error:
        listed = ", ".join(station.teaching.classes) or "none yet"
        raise Problem(404, "no_class", f"no class '{name[:60]}' is taught; there are: {listed}") from error


def known_class(station: Station, name: str) -> None:
    """Raises Problem for a class that is neither taught nor has ever had a model."""
    if name not in station.teaching.classes:
        class_id_of(station, name)


def taught_json(station: Station, taught: TaughtClass) -> dict[str, Any]:
    is_served = station.shelf.serving(taught.settings.name) is not None
    return serialization.class_json(taught, station.teaching.queue, is_served)


@routes.get("/v1/teaching", openapi_extra=VIEWER, responses=describe(TaughtClasses))
def taught_classes(request: Request) -> dict[str, Any]:
    station = station_of(request)
    return {"classes": [taught_json(station, station.teaching[name]) for name in station.teaching.classes]}


class NewClass(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    layout: Layout


@routes.post("/v1/teaching", status_code=201, openapi_extra=ENGINEER, responses=describe(TaughtClassAnswer, 201))
def new_class(request: Request, body: NewClass) -> JSONResponse:
    station = station_of(request)
    taught = station.teaching.create(body.name, body.layout, who(request))
    station.taught_changed(taught.settings.name)
    return JSONResponse(taught_json(station, taught), 201)


@routes.get(BASE, openapi_extra=VIEWER, responses=describe(TaughtClassAnswer))
def taught_class(request: Request, class_name: str) -> dict[str, Any]:
    station = station_of(request)
    return taught_json(station, taught_of(station, class_name))


class Region(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inspect: Polygons = []
    ignore: Polygons = []


@routes.put(f"{BASE}/region", openapi_extra=ENGINEER, responses=describe(TaughtClassAnswer))
def region(request: Request, class_name: str, body: Region) -> dict[str, Any]:
    """Where defects count, for what is trained from now on."""
    station = station_of(request)
    taught_of(station, class_name)
    inspect, ignore = (tuple(tuple(polygon) for polygon in polygons) for polygons in (body.inspect, body.ignore))
    taught = station.teaching.set_region(class_name, inspect, ignore, who(request))
    station.taught_changed(class_name)
    return taught_json(station, taught)


CAMERA_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


@routes.put(f"{BASE}/camera", openapi_extra={**ENGINEER, **CAMERA_BODY}, responses=describe(TaughtClassAnswer))
async def camera(request: Request, class_name: str) -> dict[str, Any]:
    """camera.json (docs/data.md): what the 3D sensor's numbers mean."""
    station = station_of(request)
    taught = taught_of(station, class_name)
    content = await request.body()
    if len(content) > CAMERA_BYTES:
        raise Problem(413, "too_large", f"camera.json may have {CAMERA_BYTES} bytes")
    return await run_in_threadpool(_with_camera, station, taught, content, who(request))


def _with_camera(station: Station, taught: TaughtClass, content: bytes, by: str) -> dict[str, Any]:
    write_camera(taught.collection.folder, content)
    station.teaching.note(taught.settings.name, f"another camera.json, by {by}")
    station.taught_changed(taught.settings.name)
    return taught_json(station, taught)
