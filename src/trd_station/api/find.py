"""Lists, counts and single inspections; classes; counts over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from trd.decision.kinds import UNLIKE
from trd.files import csv_line
from trd_station import serialization, times
from trd_station.api.access import needs, router
from trd_station.api.answers.describing import describe
from trd_station.api.answers.operation import Classes, PartClass, Stats
from trd_station.api.answers.parts import Count, Inspections, JudgedInspection
from trd_station.api.common import (
    GREATEST,
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
from trd_station.deciding import VERDICTS
from trd_station.shelf import facts as model_facts
from trd_station.station import Station
from trd_station.store import history, verdicts
from trd_station.store.filters import Filters
from trd_station.store.schema import DECISIONS, ORIGINS

routes = router()

VIEWER = needs("viewer")
BUCKETS = 1000
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e300, le=1e300)]


class FilterQuery(BaseModel):
    """As docs/station-api.md has them."""

    model_config = ConfigDict(extra="ignore")  # unknown ones are refused by the route

    class_: str | None = Field(None, alias="class", max_length=200)
    part: str | None = Field(None, max_length=200)
    part_prefix: str | None = Field(None, min_length=1, max_length=200)
    decision: str | None = Field(None, max_length=100)
    verdict: str | None = Field(None, max_length=100)
    queue: Literal["review", "audit", "any"] | None = None
    open: bool = False
    sampled: bool | None = None
    model: int | None = Field(None, ge=1, le=GREATEST)
    threshold: int | None = Field(None, ge=1, le=GREATEST)
    origin: Literal["api", "folder", "replay", "camera"] | None = None
    since: Moment | None = None
    until: Moment | None = None
    score_from: Number | None = None
    score_to: Number | None = None


class ListQuery(FilterQuery):
    order: Literal["newest", "oldest"] = "newest"
    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = Field(None, max_length=100)


class CsvQuery(FilterQuery):
    limit: int = Field(10_000, ge=1, le=100_000)


def filters_of(station: Station, query: FilterQuery) -> Filters:
    return Filters(
        classes=() if query.class_ is None else (class_id_of(station, query.class_),),
        decisions=tuple(DECISIONS.index(name) for name in _several("decision", query.decision, DECISIONS)),
        verdicts=_verdicts(query.verdict),
        queues=("review", "audit") if query.queue == "any" else (query.queue,) if query.queue else (),
        open=query.open,
        sampled=query.sampled,
        part=query.part,
        part_prefix=query.part_prefix,
        model=query.model,
        threshold=query.threshold,
        origin=None if query.origin is None else ORIGINS.index(query.origin),
        since=milliseconds(query.since),
        until=milliseconds(query.until),
        score_from=query.score_from,
        score_to=query.score_to,
    )


def _several(name: str, text: str | None, allowed: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(text.split(","))) if text is not None else ()
    for value in chosen:
        if value not in allowed:
            raise Problem(422, "parameter", f"query.{name}: '{value[:40]}' is none of {', '.join(allowed)}")
    return chosen


def _verdicts(text: str | None) -> tuple[str, ...]:
    chosen = _several("verdict", text, (*VERDICTS, "any", "none"))
    return tuple(dict.fromkeys(verdict for name in chosen for verdict in (VERDICTS if name == "any" else (name,))))


@routes.get("/v1/inspections", openapi_extra=VIEWER, responses=describe(Inspections))
def inspections(request: Request, query: Annotated[ListQuery, Query()]) -> dict[str, Any]:
    station = station_of(request)
    filters, cursor = filters_of(station, query), decode_cursor(query.cursor)
    with station.database.reading() as connection:
        rows, following = history.page(connection, filters, cursor, query.limit, query.order == "newest")
    return {"inspections": [station.serializer.inspection(row) for row in rows], "next": encode_cursor(following)}


@routes.get("/v1/inspections/count", openapi_extra=VIEWER, responses=describe(Count))
def count(request: Request, query: Annotated[FilterQuery, Query()]) -> dict[str, Any]:
    station = station_of(request)
    with station.database.reading() as connection:
        total = history.count(connection, filters_of(station, query))
    return {"count": total.count, "exact": total.exact}


CSV_COLUMNS = (
    *("id", "at", "class", "part", "decision", "score", "p_value", "review_above", "reject_above", "verdict"),
    *(
        "verdict_kind",
        "suggested_kind",
        "queue",
        "sampled",
        "origin",
        "model",
        "detector",
        "calibration",
        "threshold",
        "reason",
    ),
)


@routes.get(
    "/v1/inspections.csv",
    openapi_extra=VIEWER,
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}}},
)
def as_csv(request: Request, query: Annotated[CsvQuery, Query()]) -> StreamingResponse:
    """For a spreadsheet, newest first."""
    station = station_of(request)
    filters = filters_of(station, query)

    def lines() -> Iterator[str]:
        yield csv_line(CSV_COLUMNS)
        cursor, left = None, query.limit
        while left > 0:
            with station.database.reading() as connection:
                rows, cursor = history.page(connection, filters, cursor, min(500, left))
            for row in rows:
                inspection = station.serializer.inspection(row)
                inspection["suggested_kind"] = _suggested(inspection["kind_suggestion"])
                yield csv_line("" if inspection[name] is None else inspection[name] for name in CSV_COLUMNS)
            left -= len(rows)
            if cursor is None:
                return

    headers = {"Content-Disposition": 'attachment; filename="inspections.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _suggested(suggestion: dict[str, Any] | None) -> str | None:
    return None if suggestion is None else suggestion["kind"] or UNLIKE


@routes.get("/v1/inspections/{number}", openapi_extra=VIEWER, responses=describe(JudgedInspection))
def one_inspection(request: Request, number: Identifier) -> dict[str, Any]:
    station = station_of(request)
    row = inspection_of(station, number)
    with station.database.reading() as connection:
        verdict_rows = verdicts.verdicts_of(connection, [number])
    return {
        **station.serializer.inspection(row),
        "verdicts": [serialization.verdict(verdict) for verdict in verdict_rows],
    }


def class_json(station: Station, name: str) -> dict[str, Any]:
    serving, number = station.shelf.serving(name), class_id_of(station, name)
    with station.database.reading() as connection:
        waiting = sum(verdicts.open_reviews(connection, number).values())
        alarms = verdicts.open_alarms(connection, number)
    answer: dict[str, Any] = {
        "name": name,
        "ready": serving is not None,
        **dict.fromkeys(("sensor", "window", "model", "threshold")),
        **{key: [] for key in ("sources", "modalities", "branches")},
        "review_open": waiting,
        "alarms_open": alarms,
    }
    if serving is not None:
        facts = serving.version.facts
        height, width = model_facts.frame(facts).sensor
        answer |= {
            "sources": model_facts.sources(facts),
            "modalities": list(facts["modalities"]),
            "branches": model_facts.branches(facts),
            "sensor": {"height": height, "width": width},
            "window": model_facts.window_in(facts, (height, width)),
            "model": station.model_json(serving.version),
            "threshold": station.serializer.threshold(serving.threshold),
        }
    return answer


@routes.get("/v1/classes", openapi_extra=VIEWER, responses=describe(Classes))
def classes(request: Request) -> dict[str, Any]:
    station = station_of(request)
    return {"classes": [class_json(station, name) for name in station.shelf.classes]}


@routes.get("/v1/classes/{class_name}", openapi_extra=VIEWER, responses=describe(PartClass))
def one_class(request: Request, class_name: str) -> dict[str, Any]:
    return class_json(station_of(request), class_name)


class StatsQuery(BaseModel):
    class_: str | None = Field(None, alias="class", max_length=200)
    since: Moment | None = None
    until: Moment | None = None
    by: Literal["hour", "day"] = "hour"


@routes.get("/v1/stats", openapi_extra=VIEWER, responses=describe(Stats))
def stats(request: Request, query: Annotated[StatsQuery, Query()]) -> dict[str, Any]:
    """Decisions by hour or day, from the maintained counters."""
    station = station_of(request)
    step = times.HOUR if query.by == "hour" else times.DAY
    until = milliseconds(query.until) or times.now() + 1
    since = milliseconds(query.since)
    since = until - times.DAY if since is None else since
    if (until - since) / step > BUCKETS:
        raise Problem(422, "parameter", f"more than {BUCKETS} buckets: ask for less time, or by day")
    chosen = () if query.class_ is None else (class_id_of(station, query.class_),)
    with station.database.reading() as connection:
        hourly_counts = history.by_hour(connection, Filters(chosen, since=since, until=until))
    buckets: dict[int, dict[str, int]] = {
        at: dict.fromkeys(DECISIONS, 0) for at in range(since // step * step, max(until, since), step)
    }
    for hour, decision, number in hourly_counts:
        at = hour * times.HOUR // step * step
        buckets.setdefault(at, dict.fromkeys(DECISIONS, 0))[DECISIONS[decision]] += number
    total = {name: sum(bucket[name] for bucket in buckets.values()) for name in DECISIONS}
    return {"buckets": [{"at": times.to_iso(at), **buckets[at]} for at in sorted(buckets)], "total": total}
