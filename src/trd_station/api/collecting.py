"""Good parts of a class that is taught: sent, taken from the history, looked at, discarded."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Annotated, Any

import imagecodecs
import numpy as np
from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from trd.errors import DataError, OutputError
from trd_station import pictures, times
from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.teaching import CollectedParts, GoodParts
from trd_station.api.common import GREATEST, station_of
from trd_station.api.inspect import FORM
from trd_station.api.media import PNG
from trd_station.api.problems import Problem
from trd_station.api.teaching import BASE, taught_of
from trd_station.api.upload import PartFiles, Wanted, form_of, parts_in, suffix_of
from trd_station.inputs.live_camera import LiveCamera
from trd_station.station import Station
from trd_station.store import history
from trd_station.teaching.collection import PartPaths
from trd_station.teaching.teaching import TaughtClass

routes = router()
VIEWER, OPERATOR = needs("viewer"), needs("operator")


@routes.get(f"{BASE}/parts", openapi_extra=VIEWER, responses=describe(GoodParts))
def parts(request: Request, class_name: str) -> dict[str, Any]:
    collection = taught_of(station_of(request), class_name).collection
    return {
        "parts": [
            {"name": name, "files": {source: path.name for source, path in files.items()}}
            for name, files in collection.parts().items()
        ]
    }


@routes.post(
    f"{BASE}/parts",
    status_code=201,
    openapi_extra={**OPERATOR, **FORM},
    responses=describe(CollectedParts, 201),
)
async def send(class_name: str, request: Request) -> JSONResponse:
    """Good parts, in a form like that of an inspection; the answer comes when those that are kept are on the disk."""
    station = station_of(request)
    taught = taught_of(station, class_name)
    settings = taught.settings
    async with form_of(request, station.settings, settings.sources) as form:
        sent, camera = parts_in(form, Wanted(class_name, settings.sources, settings.clouds), station.settings)
        if camera is not None:
            raise Problem(422, "unknown_source", f"camera.json goes to PUT {BASE.format(class_name=class_name)}/camera")
        added = [await run_in_threadpool(_received, taught, part) for part in sent]
    return await run_in_threadpool(_answer, station, taught, added, who(request))


def _received(taught: TaughtClass, part: PartFiles) -> dict[str, Any]:
    paths = {source: taught.collection.incoming(suffix_of(file)) for source, file in part.files.items()}
    try:
        for source, file in part.files.items():
            file.file.seek(0)
            with paths[source].open("wb") as place:
                shutil.copyfileobj(file.file, place, 1 << 20)
    except OSError as error:
        raise OutputError(f"the upload could not be kept: {error.strerror or error}") from error
    return _added(taught, part.name, paths)


def _added(taught: TaughtClass, name: str, paths: PartPaths) -> dict[str, Any]:
    """The outcome for a part whose files may be moved; what was not kept is deleted."""
    try:
        outcome = taught.collection.add(name, paths)
    except DataError as error:
        reason = str(error)
        for source, path in paths.items():
            reason = reason.replace(str(path), source)
        return {"sent_as": name, "state": "refused", "name": None, "reason": reason}
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)
    state = "copy" if outcome.is_copy else "kept"
    return {"sent_as": name, "state": state, "name": outcome.name, "reason": None}


def _answer(station: Station, taught: TaughtClass, added: list[dict[str, Any]], by: str) -> JSONResponse:
    kept = [part["name"] for part in added if part["state"] == "kept"]
    station.teaching.collected(taught.settings.name, kept, by)
    count = len(taught.collection.parts())
    return JSONResponse({"parts": added, "count": count}, 201)


class FromHistory(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inspections: list[Annotated[int, Field(ge=1, le=GREATEST)]] = Field(min_length=1, max_length=500)


@routes.post(
    f"{BASE}/parts/from-history", status_code=201, openapi_extra=OPERATOR, responses=describe(CollectedParts, 201)
)
def from_history(request: Request, class_name: str, body: FromHistory) -> JSONResponse:
    """Copies of parts that were inspected, by their numbers; their verdict should be good."""
    station = station_of(request)
    taught = taught_of(station, class_name)
    with station.database.reading() as connection:
        rows = history.inspections_by_id(connection, body.inspections)
    unknown = set(body.inspections) - {row["id"] for row in rows}
    if unknown:
        raise Problem(404, "no_inspection", f"there is no inspection {min(unknown)}")
    added = []
    for row in rows:
        inputs, name = station.parts.inputs(row), f"{row['part']}-{row['id']}"
        lacking = [source for source in taught.settings.sources if not _is_there(inputs.sources.get(source))]
        if row["verdict"] == "defect" or lacking:
            reason = f"'{lacking[0]}' is not there any more" if lacking else "its verdict is defect"
            added.append({"sent_as": name, "state": "refused", "name": None, "reason": reason})
            continue
        paths = {}
        for source in taught.settings.sources:
            paths[source] = taught.collection.incoming(inputs.sources[source].suffix)
            with contextlib.suppress(OSError):  # retention was quicker: what lacks cannot be read
                shutil.copyfile(inputs.sources[source], paths[source])
        added.append(_added(taught, name, paths))
    return _answer(station, taught, added, who(request))


Address = Annotated[str, Field(min_length=1, max_length=500)]


def _frame(request: Request, address: str) -> NDArray[np.uint8]:
    camera: LiveCamera = request.app.state.camera
    return camera.frame(address)


@routes.get(
    f"{BASE}/camera.jpg",
    openapi_extra=needs("engineer"),
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
def camera_picture(
    request: Request,
    class_name: str,
    address: Annotated[Address, Query()],
    size: Annotated[int, Query(ge=16, le=2048)] = 640,
    at: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """What a camera sees now: its number on the station's machine, or the address of a stream. at: anything, so that a
    browser asks again."""
    taught_of(station_of(request), class_name)
    small = np.ascontiguousarray(pictures.at_most(_frame(request, address), size))
    return Response(bytes(imagecodecs.jpeg_encode(small, level=80)), media_type="image/jpeg")


class FromCamera(BaseModel):
    model_config = ConfigDict(extra="forbid")

    address: Address


@routes.post(
    f"{BASE}/parts/from-camera",
    status_code=201,
    openapi_extra=needs("engineer"),
    responses=describe(CollectedParts, 201),
)
def from_camera(request: Request, class_name: str, body: FromCamera) -> JSONResponse:
    """What a camera sees now, as a good part of a class of colour alone."""
    station = station_of(request)
    taught = taught_of(station, class_name)
    if taught.settings.clouds:
        raise Problem(
            422, "parameter", f"'{class_name}' needs {', '.join(taught.settings.sources)}: a camera is colour"
        )
    path = taught.collection.incoming(".png")
    picture = imagecodecs.png_encode(np.ascontiguousarray(_frame(request, body.address)))
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise OutputError(f"the frame could not be kept: {error.strerror or error}") from error
    name = f"frame-{times.to_iso(times.now())}".replace(":", "").replace(".", "-")
    return _answer(station, taught, [_added(taught, name, {taught.settings.sources[0]: path})], who(request))


def _is_there(path: Path | None) -> bool:
    return path is not None and path.is_file()


def _part_of(taught: TaughtClass, name: str) -> PartPaths:
    files = taught.collection.parts().get(name)
    if files is None:
        raise Problem(404, "no_part", f"'{taught.settings.name}' has no good part '{name[:60]}'")
    return files


@routes.delete(f"{BASE}/parts/{{name}}", openapi_extra=OPERATOR, responses=describe(GoodParts))
def discard(request: Request, class_name: str, name: str) -> dict[str, Any]:
    """Its files move to the folder `discarded`."""
    station = station_of(request)
    taught = taught_of(station, class_name)
    _part_of(taught, name)
    with contextlib.suppress(KeyError):  # somebody else was quicker
        taught.collection.discard(name)
        station.teaching.note(class_name, f"the good part '{name}' was discarded by {who(request)}")
    station.taught_changed(class_name)
    return parts(request, class_name)


@routes.get(f"{BASE}/parts/{{name}}/{{source}}.png", openapi_extra=VIEWER, response_class=Response, responses=PNG)
def part_picture(
    request: Request,
    class_name: str,
    name: str,
    source: str,
    size: Annotated[int | None, Query(ge=16, le=2048)] = None,
) -> Response:
    taught = taught_of(station_of(request), class_name)
    files, collection = _part_of(taught, name), taught.collection
    if source not in files:
        raise Problem(404, "no_image", f"there is no picture '{source[:60]}'; there are: {', '.join(files)}")
    inputs = collection.inputs(files)
    picture = pictures.source_picture(inputs.source(source, collection.shape(files)), source in inputs.clouds)
    return Response(pictures.as_png(picture, size), media_type="image/png")
