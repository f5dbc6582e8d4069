"""A model sent over HTTP: a package alone, kept by its content, tested before anyone can have it serve."""

from __future__ import annotations

import hashlib
import os
import secrets
import zipfile
from contextlib import suppress
from pathlib import Path

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from trd.errors import CheckpointError, OutputError
from trd.files import delete_scraps, folder_to_disk, to_disk
from trd.packages.package import SUFFIX, read_package
from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.models import Model
from trd_station.api.common import class_id_of, station_of
from trd_station.api.models import loaded
from trd_station.api.problems import Problem
from trd_station.settings import Settings
from trd_station.station import Station
from trd_station.store.verdicts import NewEvent

KIND = "application/octet-stream"
BODY = {
    "requestBody": {"required": True, "content": {KIND: {"schema": {"type": "string", "format": "binary"}}}},
}

routes = router()


@routes.post(
    "/v1/classes/{class_name}/models/package",
    status_code=201,
    openapi_extra={**needs("engineer"), **BODY},
    responses=describe(Model, 201),
)
async def upload(request: Request, class_name: str) -> JSONResponse:
    """The body is a package (`trd export`): it is checked, kept, loaded and tested; it does not serve yet."""
    station = station_of(request)
    number = await run_in_threadpool(class_id_of, station, class_name)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != KIND:
        raise Problem(415, "format", f"expected a package {SUFFIX} as the body, of type {KIND}")
    temporary = station.settings.models / f".upload.trd-{secrets.token_hex(4)}{SUFFIX}"
    try:
        digest = await _received(request, station.settings, temporary)
        return await run_in_threadpool(_load_package, station, class_name, number, temporary, digest, who(request))
    except OSError as error:
        raise OutputError(f"the package could not be kept: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


async def _received(request: Request, settings: Settings, path: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the body, which is written to `path`."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > settings.max_model_bytes:
        raise _too_large(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    delete_scraps(path.parent)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        async for block in request.stream():
            size += len(block)
            if size > settings.max_model_bytes:
                raise _too_large(settings)
            digest.update(block)
            await run_in_threadpool(file.write, block)
    return digest.hexdigest()[:16]


def _too_large(settings: Settings) -> Problem:
    message = f"the package is larger, as sent or unpacked, than the limit of {settings.max_model_bytes} bytes"
    return Problem(413, "too_large", message)


def _load_package(
    station: Station, class_name: str, number: int, temporary: Path, digest: str, name: str
) -> JSONResponse:
    """Checked before it gets a name under which it can be found; one that fails its self-test is deleted."""
    try:
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(temporary) as archive:
            if sum(member.file_size for member in archive.infolist()) > station.settings.max_model_bytes:
                raise _too_large(station.settings)
        facts = read_package(temporary).facts
    except CheckpointError as error:
        message = str(error).replace(str(temporary), "the body")
        raise Problem(422, "package", message) from error
    if facts.class_name != class_name:
        raise Problem(422, "package", f"the package is of the class '{facts.class_name[:60]}', not '{class_name}'")
    place = station.settings.models / f"upload-{digest}{SUFFIX}"
    existed = place.is_file()
    to_disk(temporary)
    os.replace(temporary, place)
    folder_to_disk(place.parent)
    try:
        answer = loaded(station, class_name, number, place.stem, name)
    except BaseException:
        if not existed:  # what was there before may serve
            place.unlink(missing_ok=True)
        raise
    station.report(NewEvent("info", "model", f"{place.stem} was sent by {name}; it does not serve yet", number))
    return answer
