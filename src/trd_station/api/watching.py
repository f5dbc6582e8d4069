"""The watch for drift."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from trd_station import times
from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.operation import Series, Watch
from trd_station.api.common import class_id_of, station_of
from trd_station.api.problems import Problem
from trd_station.store.schema import DECISIONS, inspection
from trd_station.store.verdicts import NewEvent
from trd_station.watch.watch import SCORE, SCORE_GOOD

routes = router()
c = inspection.c


@routes.get("/v1/classes/{class_name}/watch", openapi_extra=needs("viewer"), responses=describe(Watch))
def watch(request: Request, class_name: str) -> dict[str, Any]:
    station = station_of(request)
    return station.watch.to_json(class_id_of(station, class_name))


@routes.get("/v1/classes/{class_name}/watch/{name}", openapi_extra=needs("viewer"), responses=describe(Series))
def series(
    request: Request, class_name: str, name: str, limit: Annotated[int, Query(ge=1, le=5000)] = 500
) -> dict[str, Any]:
    """A measure's last values, oldest first."""
    station = station_of(request)
    number = class_id_of(station, class_name)
    stream_names = [stream["name"] for stream in station.watch.to_json(number)["streams"]]
    if name not in stream_names:
        raise Problem(404, "no_measure", f"there is no measure '{name[:60]}'; there are: {', '.join(stream_names)}")
    query = select(c.id, c.at, c.decision, c.score, c.measures).where(c.class_id == number)
    serving = station.shelf.serving(class_name)
    if name in (SCORE, SCORE_GOOD) and serving is not None:  # another model's scores are in other units
        query = query.where(c.model_id == serving.version.id)
    if name == SCORE_GOOD:
        query = query.where(c.verdict.is_not(None), c.verdict == "good", c.sampled)
    with station.database.reading() as connection:
        rows = connection.execute(query.order_by(c.at.desc(), c.id.desc()).limit(limit)).all()
    points = []
    for row in reversed(rows):
        value = row.score if name in (SCORE, SCORE_GOOD) else (row.measures or {}).get(name)
        if value is not None:
            points.append(
                {"id": row.id, "at": times.to_iso(row.at), "value": value, "decision": DECISIONS[row.decision]}
            )
    return {"name": name, "points": points}


class Restart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=80)
    reason: str = Field(min_length=1, max_length=1000)


@routes.post("/v1/classes/{class_name}/watch/restart", openapi_extra=needs("engineer"), responses=describe(Watch))
def restart(request: Request, class_name: str, body: Restart) -> dict[str, Any]:
    """From now on is the new normal."""
    station = station_of(request)
    number = class_id_of(station, class_name)
    try:
        names = station.watch.restart(number, body.name)
    except KeyError as error:
        raise Problem(404, "no_measure", f"there is no measure '{str(body.name)[:60]}'") from error
    text = f"the watch of {', '.join(names) or 'nothing'} begins anew, by {who(request)}: {body.reason}"
    station.report(NewEvent("info", "watch", text, number))
    station.changed("watch", class_name)
    return station.watch.to_json(number)
