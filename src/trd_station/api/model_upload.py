"""A model sent over HTTP: a package alone, kept by its content, tested before anyone can have it serve."""

from __future__ import annotations

import hashlib
import os
import secrets
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from trd.errors import CheckpointError, OutputError
from trd.files import delete_scraps, folder_to_disk, to_disk
from trd.packages.package import SUFFIX, read_package
from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.models import Model
from trd_station.api.common import station_of
from trd_station.api.models import loaded
from trd_station.api.problems import Problem
from trd_station.settings import Settings
from trd_station.shelf.discovery import UPLOAD, checked_class_name
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
async def upload(
    request: Request, class_name: str, trained_as: Annotated[str | None, Query(max_length=200)] = None
) -> JSONResponse:
    """The body is a package (`trd export`): it is checked, kept, loaded and tested; it does not serve yet. A
    class that there was not is served by it at once.

    trained_as: the class that the package was trained as, where it is meant for this one all the same.
    """
    station = station_of(request)
    try:
        checked_class_name(class_name, "the address")
    except CheckpointError as error:
        raise Problem(422, "parameter", str(error)) from error
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != KIND:
        raise Problem(415, "format", f"expected a package {SUFFIX} as the body, of type {KIND}")
    temporary = station.settings.models / f"{UPLOAD}.trd-{secrets.token_hex(4)}{SUFFIX}"
    try:
        digest = await _received(request, station.settings, temporary)
        meant = Meant(class_name, trained_as, who(request))
        return await run_in_threadpool(_load_package, station, meant, temporary, digest)
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


@dataclass(frozen=True)
class Meant:
    """What a package is sent for. trained_as: see `upload`. who: sends it."""

    class_name: str
    trained_as: str | None
    who: str


def _load_package(station: Station, meant: Meant, temporary: Path, digest: str) -> JSONResponse:
    """Checked before it gets a name under which it can be found; one that fails its self-test is deleted."""
    try:
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(temporary) as archive:
            if sum(member.file_size for member in archive.infolist()) > station.settings.max_model_bytes:
                raise _too_large(station.settings)
        facts = read_package(temporary).facts
    except CheckpointError as error:
        message = str(error).replace(str(temporary), "the body")
        raise Problem(422, "package", message) from error
    _check_class(station, meant, facts.class_name)
    class_name, new = meant.class_name, meant.class_name not in station.shelf.classes
    if facts.class_name != class_name:  # the same package may be sent for several classes
        digest = f"{digest}-{hashlib.sha256(class_name.encode()).hexdigest()[:8]}"
    place = station.settings.models / f"upload-{digest}{SUFFIX}"
    existed = place.is_file()
    to_disk(temporary)
    os.replace(temporary, place)
    folder_to_disk(place.parent)
    try:
        take = partial(station.shelf.take, class_name, place.resolve(), meant.who)
        answer = loaded(station, class_name, place.stem, take)
    except BaseException:
        if not existed:  # what was there before may serve
            place.unlink(missing_ok=True)
        raise
    state = f"it serves the new class '{class_name}'" if new else "it does not serve yet"
    text = f"{place.stem} was sent by {meant.who}; {state}"
    station.report(NewEvent("info", "model", text, station.class_id(class_name)))
    return answer


def _check_class(station: Station, meant: Meant, trained_as: str) -> None:
    """Raises Problem for a package of another class that nobody said is meant for this one: the class may be new, or
    be served by a detector that was trained under the package's name, or the sender may name that."""
    serving = station.shelf.serving(meant.class_name)
    known = serving is not None and serving.detector.class_name == trained_as
    new = meant.class_name not in station.shelf.classes
    if trained_as not in (meant.class_name, meant.trained_as) and not known and not new:
        raise Problem(
            422,
            "other_class",
            f"the package is of the class '{trained_as[:60]}', not '{meant.class_name}'; if it is meant for this one, "
            f"send it with ?trained_as={quote(trained_as)}",
            trained_as=trained_as,
        )
