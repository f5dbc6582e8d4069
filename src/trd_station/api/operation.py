"""Session, health, metrics, settings, the live stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field

from trd.data.limits import max_pixels
from trd_station.api.access import PUBLIC, caller_of, cookie_of, needs, router, token_of
from trd_station.api.answers.describing import describe
from trd_station.api.answers.operation import Health, Ready, Session, StationSettings
from trd_station.api.common import class_id_of, station_of
from trd_station.api.problems import Problem, answer
from trd_station.live import Live, Message, Reader
from trd_station.station import Station
from trd_station.store import history
from trd_station.store.filters import Filters
from trd_station.store.verdicts import NewEvent
from trd_station.tokens import Caller

routes = router()

MISSED = 100  # inspections that a reader who comes back is told
BEAT = 15.0  # seconds without a message after which a comment keeps the connection open
SESSION = 30 * 24 * 3600  # seconds without a look at the page after which one signs in again


def _session(station: Station, caller: Caller | None) -> dict[str, Any]:
    return {
        "name": caller.name if caller else None,
        "role": caller.role if caller else None,
        "tokens": bool(station.tokens),
        "version": station.version,
        "station": station.settings.name,
    }


@routes.get("/v1/session", openapi_extra=needs(PUBLIC), responses=describe(Session))
def session(request: Request) -> JSONResponse:
    """Who came by the cookie gets it again: only a page that nobody opens is signed out in time."""
    station, caller = station_of(request), caller_of(request)
    response = JSONResponse(_session(station, caller))
    token = request.cookies.get(cookie_of(request))
    if station.tokens and caller is not None and token and token == token_of(request):
        _keep(request, response, token)
    return response


def _keep(request: Request, response: Response, token: str) -> None:
    secure = request.url.scheme == "https"
    path = _path(request)
    response.set_cookie(cookie_of(request), token, SESSION, path=path, httponly=True, samesite="strict", secure=secure)


def _path(request: Request) -> str:
    """To which a browser gives the cookie: other stations of the host have other prefixes."""
    return request.scope.get("root_path") or "/"


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=500)


@routes.post("/v1/session", openapi_extra=needs(PUBLIC), responses=describe(Session))
def sign_in(request: Request, body: SignIn) -> JSONResponse:
    """The token as a cookie, which pages and pictures use."""
    station = station_of(request)
    caller = station.tokens.caller(body.token.strip())
    address = request.client.host if request.client else "nowhere"
    if caller is None:
        station.refused_sign_ins.note(address)
        raise Problem(401, "unknown_token", "this token is not known here")
    response = JSONResponse(_session(station, caller))
    _keep(request, response, body.token.strip())
    station.report(NewEvent("info", "sign_in", f"{caller.name} ({caller.role}) signed in from {address}"))
    return response


@routes.delete("/v1/session", status_code=204, openapi_extra=needs("viewer"))
def sign_out(request: Request) -> Response:
    response = Response(status_code=204)
    response.delete_cookie(cookie_of(request), path=_path(request), httponly=True, samesite="strict")
    return response


@routes.head("/healthz", openapi_extra=needs(PUBLIC), include_in_schema=False)
@routes.get("/healthz", openapi_extra=needs(PUBLIC), responses=describe(Health))
async def health() -> dict[str, Any]:
    return {"status": "ok"}


@routes.head("/readyz", openapi_extra=needs(PUBLIC), include_in_schema=False)
@routes.get("/readyz", openapi_extra=needs(PUBLIC), responses=describe(Ready))
def ready(request: Request) -> JSONResponse:
    classes = station_of(request).ready
    if not classes or not all(classes.values()):
        return answer(Problem(503, "not_ready", "not every class can be served", retry_after_s=5, classes=classes))
    return JSONResponse({"status": "ready", "classes": classes})


@routes.get(
    "/metrics",
    openapi_extra=needs("viewer"),
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def metrics(request: Request) -> Response:
    station = station_of(request)
    for name in station.shelf.classes:
        serving = station.shelf.serving(name)
        if serving is not None:
            limits = serving.threshold.limits
            station.metrics.limit.labels(name, "review").set(limits.review_above)
            station.metrics.limit.labels(name, "reject").set(limits.reject_above)
            station.metrics.watched(name, station.watch.to_json(serving.version.class_id))
    return Response(station.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@routes.get("/v1/openapi.json", openapi_extra=needs("viewer"), include_in_schema=False)
async def contract(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@routes.get("/v1/settings", openapi_extra=needs("viewer"), responses=describe(StationSettings))
def settings(request: Request) -> dict[str, Any]:
    station = station_of(request)
    chosen = station.settings
    return {
        "capacity": chosen.capacity,
        "max_parts": min(chosen.max_parts, chosen.capacity),
        "max_body_bytes": chosen.max_body_bytes,
        "max_model_bytes": chosen.max_model_bytes,
        "max_pixels": max_pixels(),
        "audit_rate": chosen.audit_rate,
        "keep_inputs": chosen.keep_inputs,
        "keep_days": chosen.keep_days,
        "keep_bytes": chosen.keep_bytes,
        "used_bytes": station.housekeeping.used_bytes,
    }


@routes.get(
    "/v1/live",
    openapi_extra=needs("viewer"),
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def live(
    request: Request, class_: Annotated[str | None, Query(alias="class", max_length=200)] = None
) -> StreamingResponse:
    """What happens, as Server-Sent Events."""
    station = station_of(request)
    if class_ is not None:
        class_id_of(station, class_)
    last = request.headers.get("last-event-id", "")
    missed = int(last) if last.isdecimal() and len(last) < 16 else None
    reader = station.live.enter(class_ or "")
    stream = _messages(station, reader, missed)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _messages(station: Station, reader: Reader, last: int | None) -> AsyncIterator[bytes]:
    publisher: Live = station.live
    try:
        hello = {"station": station.settings.name, "version": station.version}
        yield Message("hello", hello).encoded()
        for message in await asyncio.to_thread(_missed, station, reader.class_name, last):
            yield message.encoded()
        while True:
            try:
                news = await asyncio.wait_for(reader.queue.get(), BEAT)
            except asyncio.TimeoutError:
                yield b": still here\n\n"
                continue
            if news is None:
                return
            yield news.encoded()
    finally:
        publisher.leave(reader)


def _missed(station: Station, class_name: str, last: int | None) -> list[Message]:
    """Inspections after the last one that a reader had, and the state, so that nobody waits for it."""
    messages: list[Message] = []
    if last is not None:
        chosen = (station.class_id(class_name),) if class_name else ()
        with station.database.reading() as connection:
            rows, _ = history.page(connection, Filters(chosen), None, MISSED)
        for row in reversed(rows):
            if row["id"] > last:
                name = station.serializer.class_name(row["class_id"])
                messages.append(Message("inspection", station.serializer.inspection(row), name, row["id"]))
    return [*messages, Message("state", station.state())]
