"""Pictures, maps, files and the cloud of a stored part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast
from urllib.parse import quote

import numpy as np
from fastapi import Query, Request
from fastapi.responses import FileResponse, Response
from numpy.typing import NDArray

from trd.errors import DataError
from trd.preprocess.facts import in_metres
from trd.preprocess.foreground import border_plane
from trd.types import Sample, plain_sources
from trd_station import pictures
from trd_station.api.access import needs, router
from trd_station.api.answers.describing import describe
from trd_station.api.answers.parts import Contours
from trd_station.api.common import Identifier, inspection_of, station_of
from trd_station.api.problems import Problem
from trd_station.cloud import CloudFacts, encoded
from trd_station.pictures import Map, Picture
from trd_station.reading import Inputs
from trd_station.serialization import images_of
from trd_station.shelf import facts as model_facts
from trd_station.station import Station
from trd_station.store.files import MAPS, stored_files

routes = router()

VIEWER = needs("viewer")
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
BYTES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}

Row = Mapping[str, Any]
Crop = Annotated[Literal["window"] | None, Query()]
Size = Annotated[int | None, Query(ge=16, le=2048)]
Top = Annotated[float | None, Query(gt=0, le=1e9, allow_inf_nan=False)]
Level = Annotated[float | None, Query(ge=-1e9, le=1e9, allow_inf_nan=False)]


def scored(station: Station, number: int) -> Row:
    """An inspection with maps. Raises Problem."""
    row = inspection_of(station, number)
    if row["pruned"]:
        raise Problem(404, "pruned", f"the files of inspection {number} were deleted: they were too old, or too many")
    if row["score"] is None:
        raise Problem(404, "no_map", f"inspection {number} has no score: {row['reason']}")
    return row


def shape_of(row: Row) -> tuple[int, int]:
    return row["height"], row["width"]


def map_of(station: Station, row: Row, name: str) -> Map:
    """(H, W) float32, equal to the bit to the prediction's."""
    facts = station.serializer.model_of(row["model_id"]).facts
    names = model_facts.maps(facts)
    if name not in names:
        raise Problem(404, "no_map", f"there is no map '{name[:60]}'; there are: {', '.join(names)}")
    stored_file = stored_files({MAPS: row["files"][MAPS]})[MAPS]
    try:
        stored = np.load(
            station.files.path(row["files"]["day"], row["uid"], stored_file), allow_pickle=False, mmap_mode="r"
        )
        stored_map = np.array(stored[names.index(name)], np.float32)
    except (OSError, ValueError, IndexError) as error:
        raise Problem(404, "pruned", f"the maps of inspection {row['id']} are gone") from error
    return pictures.full_map(stored_map, model_facts.frame(facts), shape_of(row), facts["floors"][name])


def sample_of(station: Station, row: Row) -> tuple[Inputs, Sample]:
    """What was inspected. Raises Problem where it was not kept."""
    inputs = station.parts.inputs(row)
    facts = station.serializer.model_of(row["model_id"]).facts
    if not set(facts["sources"]) <= set(inputs.sources):
        raise Problem(404, "no_image", f"the files of inspection {row['id']} were not kept")
    try:
        return inputs, inputs.sample()
    except DataError as error:
        raise Problem(404, "pruned", f"the files of inspection {row['id']} cannot be read any more") from error


def _png(picture: Picture, size: int | None) -> Response:
    return Response(pictures.as_png(picture, size), media_type="image/png", headers=FOREVER)


@routes.get("/v1/inspections/{number}/images/{name}.png", openapi_extra=VIEWER, response_class=Response, responses=PNG)
def image(request: Request, number: Identifier, name: str, crop: Crop = None, size: Size = None) -> Response:
    station = station_of(request)
    row = scored(station, number)
    model = station.serializer.model_of(row["model_id"])
    names = images_of(model)
    if name not in names:
        raise Problem(404, "no_image", f"there is no picture '{name[:60]}'; there are: {', '.join(names)}")
    if name in plain_sources(model.facts["sources"]):
        inputs, shape = station.parts.inputs(row), shape_of(row)
        if name not in plain_sources(inputs.sources):
            raise Problem(404, "no_image", f"the files of inspection {number} were not kept")
        try:
            array = inputs.source(name, shape)
        except DataError as error:
            raise Problem(404, "pruned", f"the files of inspection {number} cannot be read any more") from error
        picture = pictures.source_picture(array, name in plain_sources(inputs.clouds))
    else:
        picture = _modality(station, row, name)
    return _png(pictures.cut(picture, model_facts.frame(model.facts), crop == "window"), size)


def _modality(station: Station, row: Row, name: str) -> Picture:
    facts = station.parts.facts_of(row["model_id"])
    if facts is None:
        message = f"the model that inspected this part is no longer where it was: put back {_path_of(station, row)}"
        raise Problem(404, "no_image", message)
    _, sample = sample_of(station, row)
    return pictures.modality_picture(facts, sample, name, shape_of(row))


def _path_of(station: Station, row: Row) -> str:
    return station.serializer.model_of(row["model_id"]).name


@routes.get(
    "/v1/inspections/{number}/inputs/{source:path}", openapi_extra=VIEWER, response_class=Response, responses=BYTES
)
def sent(request: Request, number: Identifier, source: str) -> FileResponse:
    """The file as it was sent."""
    station = station_of(request)
    row = inspection_of(station, number)
    files = {} if row["pruned"] else stored_files({k: v for k, v in row["files"].items() if k == f"in.{source}"})
    for stored_file in files.values():
        path = station.files.path(row["files"]["day"], row["uid"], stored_file)
        if path.is_file():
            name = quote(stored_file.sent_as or f"{source}{stored_file.suffix}")
            headers = {**FOREVER, "Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
            return FileResponse(path, media_type="application/octet-stream", headers=headers)
    raise Problem(404, "pruned" if row["pruned"] else "no_image", f"inspection {number} has no file '{source[:60]}'")


@routes.get("/v1/inspections/{number}/maps/{name}.npy", openapi_extra=VIEWER, response_class=Response, responses=BYTES)
def map_npy(request: Request, number: Identifier, name: str, crop: Crop = None) -> Response:
    station = station_of(request)
    row = scored(station, number)
    frame = model_facts.frame(station.serializer.model_of(row["model_id"]).facts)
    values = pictures.cut(map_of(station, row, name), frame, crop == "window")
    return Response(pictures.as_npy(values), media_type="application/octet-stream", headers=FOREVER)


@routes.get("/v1/inspections/{number}/maps/{name}.png", openapi_extra=VIEWER, response_class=Response, responses=PNG)
def map_png(
    request: Request,
    number: Identifier,
    name: str,
    style: Literal["heat", "overlay", "alpha"] = "heat",
    top: Top = None,
    crop: Crop = None,
    size: Size = None,
) -> Response:
    station = station_of(request)
    row = scored(station, number)
    values = map_of(station, row, name)
    facts = station.serializer.model_of(row["model_id"]).facts
    under = None
    if style == "overlay":
        inputs, sample = sample_of(station, row)
        first = plain_sources(facts["sources"])[0]
        under = pictures.source_picture(sample.arrays[first], first in plain_sources(inputs.clouds))
    highest = top or 2 * max(station.serializer.threshold_of(row["threshold_id"]).limits.reject_above, 1e-6)
    picture = pictures.map_picture(values, style, highest, row["pixel_threshold"], under)
    return _png(pictures.cut(picture, model_facts.frame(facts), crop == "window"), size)


@routes.get("/v1/inspections/{number}/maps/{name}/contours", openapi_extra=VIEWER, responses=describe(Contours))
def contours(request: Request, number: Identifier, name: str, level: Level = None) -> dict[str, Any]:
    station = station_of(request)
    row = scored(station, number)
    chosen = row["pixel_threshold"] if level is None else level
    return {"level": chosen, "contours": pictures.contours(map_of(station, row, name), chosen)}


@routes.get("/v1/inspections/{number}/cloud.bin", openapi_extra=VIEWER, response_class=Response, responses=BYTES)
def cloud(request: Request, number: Identifier, step: Annotated[int, Query(ge=1, le=16)] = 1) -> Response:
    station = station_of(request)
    row = scored(station, number)
    facts = station.serializer.model_of(row["model_id"]).facts
    if not facts["clouds"]:
        raise Problem(404, "no_cloud", f"the class '{station.serializer.class_name(row['class_id'])}' has no 3D source")
    _, sample = sample_of(station, row)
    frame, clouds = model_facts.frame(facts), plain_sources(facts["clouds"])
    sample = in_metres(sample, clouds, frame.cloud_scale)
    xyz = cast(NDArray[np.float32], sample.arrays[clouds[0]])
    flat = [name for name in plain_sources(facts["sources"]) if name not in clouds]
    colour = pictures.source_picture(sample.arrays[flat[0]], False) if flat else None
    plane = None if sample.views else border_plane(xyz)  # each view has its own
    limits = station.serializer.threshold_of(row["threshold_id"]).limits
    about = CloudFacts(
        row["id"],
        limits.review_above,
        limits.reject_above,
        row["pixel_threshold"],
        None if plane is None else (float(plane[0]), float(plane[1]), float(plane[2]), float(plane[3])),
    )
    data = encoded(xyz, map_of(station, row, "fused"), colour, frame, about, step)
    headers = {**FOREVER, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(data, media_type="application/octet-stream", headers=headers)
