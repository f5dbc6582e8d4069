"""Verdicts, the review queue, events."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from trd_station import serialization, times
from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.operation import Event, Events
from trd_station.api.answers.parts import Kinds, Review, Verdict, Verdicts
from trd_station.api.common import (
    Identifier,
    Moment,
    class_id_of,
    decode_cursor,
    encode_cursor,
    inspection_of,
    milliseconds,
    station_of,
)
from trd_station.api.problems import Problem
from trd_station.asking import REVIEWED, WAITING, Why, asked_first, candidate, in_turn
from trd_station.deciding import VERDICTS
from trd_station.pictures import mask_of
from trd_station.station import Station
from trd_station.store import history, verdicts
from trd_station.store.filters import Filters
from trd_station.store.verdicts import EventFilters

routes = router()

MASK_BYTES = 2 * 2**20


def printable(text: str | None) -> str | None:
    """Without characters that are none, None where nothing is left."""
    if text is None:
        return None
    return "".join(char for char in text.strip() if char.isprintable() or char == "\n") or None


class NewVerdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Literal["good", "defect", "unsure"]
    kind: str | None = Field(None, max_length=60)
    reason: str | None = Field(None, max_length=1000)
    mask: str | None = Field(None, max_length=MASK_BYTES * 4 // 3 + 8)
    who: str | None = Field(None, max_length=100)


@routes.post(
    "/v1/inspections/{number}/verdicts",
    status_code=201,
    openapi_extra=needs("operator"),
    responses=describe(Verdict, 201),
)
def judge(request: Request, number: Identifier, body: NewVerdict) -> JSONResponse:
    station = station_of(request)
    row = inspection_of(station, number)
    name = who(request)
    if body.who is not None:
        if station.tokens:
            raise Problem(422, "parameter", "body.who: only where there are no tokens; here it is the token's name")
        name = printable(body.who) or name
    values = {
        "verdict": body.verdict,
        "kind": printable(body.kind),
        "reason": printable(body.reason),
        "who": name,
        "mask": _store_mask(station, row, body.mask),
    }
    stored = station.database.write(partial(verdicts.add_verdict, inspection_id=number, values=values))
    station.judged(row, stored)
    return JSONResponse(serialization.verdict(stored), 201)


def _store_mask(station: Station, row: dict[str, Any], text: str | None) -> str | None:
    """Its file, as the verdict names it."""
    if text is None:
        return None
    if row["height"] is None:
        raise Problem(422, "parameter", "body.mask: this part has no score, and so no frame to brush on")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "parameter", "body.mask: not base64") from error
    mask_of(data, (row["height"], row["width"]))
    day = times.day_of(times.now())
    mask_file = station.files.write(day, row["uid"], "mask", ".png", data)
    return f"{day}/{station.files.path(day, row['uid'], mask_file).name}"


@routes.get("/v1/inspections/{number}/verdicts", openapi_extra=needs("viewer"), responses=describe(Verdicts))
def given(request: Request, number: Identifier) -> dict[str, Any]:
    station = station_of(request)
    inspection_of(station, number)
    with station.database.reading() as connection:
        return {"verdicts": [serialization.verdict(verdict) for verdict in verdicts.verdicts_of(connection, [number])]}


@routes.get(
    "/v1/verdicts/{number}/mask.png",
    openapi_extra=needs("viewer"),
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
def mask(request: Request, number: Identifier) -> FileResponse:
    station = station_of(request)
    with station.database.reading() as connection:
        row = verdicts.verdict_by_id(connection, number)
    if row is None:
        raise Problem(404, "no_verdict", f"there is no verdict {number}")
    path = station.files.root / (row["mask"] or "none")
    if row["mask"] is None or not path.is_file():
        raise Problem(404, "no_image", f"verdict {number} has no mask")
    return FileResponse(path, media_type="image/png")


@routes.get("/v1/classes/{class_name}/kinds", openapi_extra=needs("viewer"), responses=describe(Kinds))
def kinds(request: Request, class_name: str) -> dict[str, Any]:
    station = station_of(request)
    number = class_id_of(station, class_name)
    with station.database.reading() as connection:
        return {"kinds": verdicts.kinds(connection, number)}


class ReviewQuery(BaseModel):
    class_: str | None = Field(None, alias="class", max_length=200)
    limit: int = Field(50, ge=1, le=500)
    today: Moment | None = None


@routes.get("/v1/review", openapi_extra=needs("viewer"), responses=describe(Review))
def review(request: Request, query: Annotated[ReviewQuery, Query()]) -> dict[str, Any]:
    """Parts that wait for a verdict; today: when the day began where it is asked, else midnight UTC."""
    station = station_of(request)
    chosen = () if query.class_ is None else (class_id_of(station, query.class_),)
    today = milliseconds(query.today)
    midnight = times.now() // times.DAY * times.DAY if today is None else today
    with station.database.reading() as connection:
        asked = _asked(station, connection, chosen, query.limit)
        waiting = {"review": 0, "audit": 0}
        for number in chosen or history.class_ids(connection):
            for queue, count in verdicts.open_reviews(connection, number).items():
                waiting[queue] += count
        done = verdicts.since(connection, midnight, chosen[0] if chosen else None)
    inspections = [{**station.serializer.inspection(row), "why": why} for row, why in asked]
    return {"inspections": inspections, "open": waiting, "done_today": done}


def _asked(
    station: Station, connection: Connection, classes: tuple[int, ...], limit: int
) -> list[tuple[dict[str, Any], Why]]:
    """Rows of parts that wait, in the order in which a person is asked about them, and why."""
    random, _ = history.page(connection, Filters(classes, open=True, sampled=True), None, limit, newest_first=False)
    uncertain, _ = history.page(connection, Filters(classes, open=True, sampled=False), None, WAITING)
    judged, _ = history.page(connection, Filters(classes, verdicts=VERDICTS), None, REVIEWED)
    waiting, reviewed = (
        [candidate(row, station.serializer.threshold_of(row["threshold_id"]).limits) for row in rows]
        for rows in (uncertain, [row for row in judged if row["score"] is not None])
    )
    first: list[tuple[dict[str, Any], Why]] = [
        (uncertain[index], why) for index, why in asked_first(waiting, reviewed, limit)
    ]
    return in_turn(first, [(row, "audit") for row in random], limit)


class EventQuery(BaseModel):
    class_: str | None = Field(None, alias="class", max_length=200)
    level: Literal["info", "warning", "alarm"] | None = None
    kind: str | None = Field(None, max_length=12)
    open: bool = False
    since: Moment | None = None
    until: Moment | None = None
    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = Field(None, max_length=100)


@routes.get("/v1/events", openapi_extra=needs("viewer"), responses=describe(Events))
def events(request: Request, query: Annotated[EventQuery, Query()]) -> dict[str, Any]:
    station = station_of(request)
    filters = EventFilters(
        None if query.class_ is None else class_id_of(station, query.class_),
        query.level,
        query.kind,
        query.open,
        milliseconds(query.since),
        milliseconds(query.until),
    )
    with station.database.reading() as connection:
        rows, following = verdicts.events(connection, filters, decode_cursor(query.cursor), query.limit)
    return {"events": [station.serializer.event(row) for row in rows], "next": encode_cursor(following)}


class Acknowledgement(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cause: str | None = Field(None, max_length=500)


@routes.post("/v1/events/{number}/acknowledge", openapi_extra=needs("operator"), responses=describe(Event))
def acknowledge(request: Request, number: Identifier, body: Acknowledgement | None = None) -> dict[str, Any]:
    """An alarm needs a cause. Who was first stays."""
    station = station_of(request)
    cause = printable(body.cause) if body is not None else None
    with station.database.reading() as connection:
        row = verdicts.event_by_id(connection, number)
    if row is None:
        raise Problem(404, "no_event", f"there is no event {number}")
    if row["level"] == "alarm" and cause is None:
        raise Problem(422, "parameter", "body.cause: say what the cause of the alarm was")
    acknowledged = station.database.write(partial(verdicts.acknowledge, event_id=number, who=who(request), cause=cause))
    if acknowledged is None:
        with station.database.reading() as connection:
            return station.serializer.event(verdicts.event_by_id(connection, number) or row)
    station.acknowledged(acknowledged)
    return station.serializer.event(acknowledged)
