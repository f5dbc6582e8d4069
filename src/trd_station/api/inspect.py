"""POST of parts."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from trd_station.api.access import needs, router
from trd_station.api.answers.describing import describe
from trd_station.api.answers.parts import Inspected
from trd_station.api.common import serving_of, station_of
from trd_station.api.problems import Problem
from trd_station.api.upload import forget, form_of, jobs_of, parts_in, wanted_by
from trd_station.shelf.shelf import Serving
from trd_station.station import Station
from trd_station.store import history
from trd_station.store.history import RequestKey
from trd_station.work.jobs import Job, Stored
from trd_station.work.jobs import Request as Parts
from trd_station.work.line import NotReady, QueueFull

routes = router()

FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}}
            }
        },
    }
}


@routes.post(
    "/v1/classes/{class_name}/inspections",
    status_code=201,
    openapi_extra={**needs("operator"), **FORM},
    responses=describe(Inspected, 200, 201),
)
async def inspect(
    class_name: str,
    request: Request,
    idempotency_key: Annotated[str | None, Header(pattern=r"^[\x21-\x7e]{1,128}$")] = None,
) -> JSONResponse:
    """Have parts decided: the answer comes when all of them are stored."""
    station, begun = station_of(request), time.monotonic()
    serving = serving_of(station, class_name)
    try:
        station.line.reserve()
    except (QueueFull, NotReady):
        station.metrics.refused.inc()
        raise
    reservation = Reservation(station)
    try:
        return await _inspected(station, serving, request, idempotency_key, reservation, begun)
    finally:
        reservation.give_back()


class Reservation:
    """Places in the queue that this request holds; after `hand_over` the line gives them back."""

    def __init__(self, station: Station) -> None:
        self._station, self._count = station, 1

    def more(self, count: int) -> None:
        if count:
            try:
                self._station.line.reserve(count)
            except QueueFull:
                self._station.metrics.refused.inc(count + self._count)
                raise
            self._count += count

    def hand_over(self) -> None:
        self._count = 0

    def give_back(self) -> None:
        if self._count:
            self._station.line.release(self._count)


async def _inspected(
    station: Station, serving: Serving, request: Request, key: str | None, reservation: Reservation, begun: float
) -> JSONResponse:
    working: set[tuple[str, str]] = request.app.state.working
    class_and_key = (serving.class_name, key or "")
    if key and class_and_key in working:
        raise Problem(409, "in_progress", "a request with this Idempotency-Key is being worked on", retry_after_s=1)
    jobs: list[Job] = []
    if key:
        working.add(class_and_key)
    try:
        async with form_of(request, station.settings, serving.version.facts["sources"]) as form:
            parts, camera = parts_in(form, wanted_by(serving), station.settings)
            reservation.more(len(parts) - 1)
            jobs, digest = await jobs_of(parts, camera, serving, station, begun)
        if key:
            before = await run_in_threadpool(_answered_before, station, serving, key, digest)
            if before is not None:
                return _answer(station, before, 200, {"Idempotent-Replayed": "true"})
        answer = station.line.submit(Parts(jobs, RequestKey(key, digest) if key else None))
        jobs = []
        reservation.hand_over()
        # a client that goes away changes nothing: its parts are decided and stored
        rows = await asyncio.shield(asyncio.wrap_future(answer))
        return _answer(station, rows, 201)
    finally:
        working.discard(class_and_key)
        forget(jobs, station.files)


def _answered_before(station: Station, serving: Serving, key: str, digest: str) -> list[Stored] | None:
    with station.database.reading() as connection:
        previous = history.answered_before(connection, serving.version.class_id, key)
        if previous is None:
            return None
        if previous[0] != digest:
            raise Problem(409, "conflict", "this Idempotency-Key was used for another content")
        return history.inspections_by_id(connection, previous[1])


def _answer(
    station: Station, rows: list[dict[str, Any]], status: int, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"inspections": [station.serializer.inspection(row) for row in rows]}, status, headers)
