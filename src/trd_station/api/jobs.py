"""Long work for a class that is taught: asked for, looked at, cancelled, and what it made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from trd.packages.package import SUFFIX
from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.teaching import FinishedJob, Jobs
from trd_station.api.answers.teaching import Job as JobAnswer
from trd_station.api.common import Identifier, station_of
from trd_station.api.problems import Problem
from trd_station.api.teaching import BASE, known_class, taught_of
from trd_station.planning import available_of, planned
from trd_station.station import Station
from trd_station.teaching import serialization
from trd_station.teaching.jobs import PICTURES, Job

routes = router()
VIEWER, ENGINEER = needs("viewer"), needs("engineer")


class NewJob(BaseModel):
    """step: what it is for. recipe: a shipped one's name, else the step's own. settings: as `trd train --set`."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["check", "train"]
    step: Literal["first", "network"] = "first"
    recipe: str | None = Field(None, min_length=1, max_length=100)
    settings: list[Annotated[str, Field(max_length=1000)]] = Field([], max_length=50)


@routes.get(f"{BASE}/jobs", openapi_extra=VIEWER, responses=describe(Jobs))
def jobs(request: Request, class_name: str) -> dict[str, Any]:
    station = station_of(request)
    known_class(station, class_name)
    queue = station.teaching.queue
    return {"jobs": [serialization.job_json(queue, job) for job in queue.jobs(class_name)]}


@routes.post(f"{BASE}/jobs", status_code=201, openapi_extra=ENGINEER, responses=describe(JobAnswer, 201))
def new_job(request: Request, class_name: str, body: NewJob) -> JSONResponse:
    """Done when those before it are, in a process of its own; a station that starts again goes on with it."""
    station = station_of(request)
    taught_of(station, class_name)
    job = station.teaching.fit(class_name, body.kind, who(request), body.step, body.recipe or "", tuple(body.settings))
    return JSONResponse(serialization.job_json(station.teaching.queue, job), 201)


class NewTrial(BaseModel):
    """models: names as `GET /v1/models` has them under `found`; the one that serves is tried beside them. most: judged
    parts of each verdict, the newest."""

    model_config = ConfigDict(extra="forbid")

    models: list[Annotated[str, Field(max_length=200)]] = Field(min_length=1, max_length=4)
    most: int = Field(200, ge=1, le=2000)


@routes.post(f"{BASE}/trials", status_code=201, openapi_extra=ENGINEER, responses=describe(JobAnswer, 201))
def new_trial(request: Request, class_name: str, body: NewTrial) -> JSONResponse:
    """A job that scores judged parts with models: found defects, false alarms, and where the models disagree."""
    station = station_of(request)
    known_class(station, class_name)
    plan = planned(station, class_name, tuple(dict.fromkeys(body.models)), body.most)
    job = station.teaching.try_models(class_name, who(request), plan)
    return JSONResponse(serialization.job_json(station.teaching.queue, job), 201)


class NewPackage(BaseModel):
    """model: a name as `GET /v1/models` has it under `found`."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(min_length=1, max_length=200)
    runtime: Literal["onnx", "openvino"] = "openvino"


@routes.post(f"{BASE}/packages", status_code=201, openapi_extra=ENGINEER, responses=describe(JobAnswer, 201))
def new_package(request: Request, class_name: str, body: NewPackage) -> JSONResponse:
    """A job that exports a detector; the package can be loaded by its name, and downloaded."""
    station = station_of(request)
    known_class(station, class_name)
    detector = available_of(station, class_name, body.model)
    job = station.teaching.export(class_name, who(request), body.model, detector.path, body.runtime)
    return JSONResponse(serialization.job_json(station.teaching.queue, job), 201)


def job_of(station: Station, number: int) -> Job:
    job = station.teaching.queue.job(number)
    if job is None:
        raise Problem(404, "no_job", f"there is no job {number}")
    return job


@routes.get("/v1/jobs/{number}", openapi_extra=VIEWER, responses=describe(FinishedJob))
def one_job(request: Request, number: Identifier) -> dict[str, Any]:
    station = station_of(request)
    job = job_of(station, number)
    return {
        **serialization.job_json(station.teaching.queue, job),
        "result": job.result,
        "log": job.log(),
    }


@routes.post("/v1/jobs/{number}/cancel", openapi_extra=ENGINEER, responses=describe(JobAnswer))
def cancel(request: Request, number: Identifier) -> dict[str, Any]:
    station = station_of(request)
    job = job_of(station, number)
    try:
        job = station.teaching.cancel(number, who(request))
    except KeyError as error:
        raise Problem(409, "conflict", f"job {number} has ended: it is {job.state}") from error
    return serialization.job_json(station.teaching.queue, job)


@routes.get(
    "/v1/jobs/{number}/package",
    openapi_extra=ENGINEER,
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def package(request: Request, number: Identifier) -> FileResponse:
    """The package that an export made."""
    station = station_of(request)
    job = job_of(station, number)
    path = station.settings.models / f"{job.model}{SUFFIX}"
    if job.kind != "export" or job.model is None or not path.is_file():
        raise Problem(404, "no_model", f"job {number} has no package")
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


@routes.get(
    "/v1/jobs/{number}/pictures/{name}",
    openapi_extra=VIEWER,
    response_class=FileResponse,
    responses={200: {"content": {"image/jpeg": {}}}},
)
def picture(request: Request, number: Identifier, name: str) -> FileResponse:
    """A picture that the job's result names."""
    folder = job_of(station_of(request), number).folder / PICTURES
    names = {path.name for path in folder.glob("*.jpg")}
    if name not in names:
        raise Problem(404, "no_image", f"job {number} has no picture '{name[:60]}'")
    return FileResponse(folder / name, media_type="image/jpeg")
