"""What several routes share: the station, classes, rows, cursors, times."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import AfterValidator

from trd_station import times
from trd_station.api.problems import Problem
from trd_station.shelf.shelf import Serving
from trd_station.station import Station
from trd_station.store import history

GREATEST = 2**53 - 1  # of a whole number in JSON that every reader keeps
NEW, OLD = datetime(2200, 1, 1, tzinfo=timezone.utc), datetime(1970, 1, 1, tzinfo=timezone.utc)

Identifier = Annotated[int, Path(ge=1, le=GREATEST)]
Limit = Annotated[int, Query(ge=1, le=500)]


def _moment(value: datetime) -> datetime:
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    if not OLD <= value <= NEW:
        raise ValueError("a time between 1970 and 2200 is expected")
    return value


Moment = Annotated[datetime, AfterValidator(_moment)]


def station_of(request: Request) -> Station:
    station: Station = request.app.state.station
    return station


def class_id_of(station: Station, name: str) -> int:
    number = station.serializer.class_id(name)
    if number is None:
        class_names = ", ".join(station.shelf.classes)
        raise Problem(404, "no_class", f"there is no class '{name[:60]}'; there are: {class_names}")
    return number


def serving_of(station: Station, name: str) -> Serving:
    serving = station.shelf.serving(name)
    if serving is None:
        class_id_of(station, name)
        if name not in station.shelf.classes:  # no use to send it again
            raise Problem(404, "no_class", f"the class '{name[:60]}' is taught, but no model of it is in service yet")
        raise Problem(503, "not_ready", f"no model serves the class '{name}' yet", retry_after_s=5)
    return serving


def inspection_of(station: Station, number: int) -> dict[str, Any]:
    with station.database.reading() as connection:
        row = history.inspection_by_id(connection, number)
    if row is None:
        raise Problem(404, "no_inspection", f"there is no inspection {number}")
    return row


def milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else times.in_milliseconds(moment)


def decode_cursor(text: str | None) -> tuple[int, int] | None:
    """Raises Problem for what `encode_cursor` did not make."""
    if text is None:
        return None
    try:
        at, _, number = base64.urlsafe_b64decode(text.encode("ascii") + b"==").decode("ascii").partition(".")
        cursor = int(at), int(number)
    except ValueError as error:
        raise Problem(422, "parameter", "query.cursor: not one that this station gave") from error
    if not all(0 <= value <= GREATEST for value in cursor):
        raise Problem(422, "parameter", "query.cursor: not one that this station gave")
    return cursor


def encode_cursor(cursor: tuple[int, int] | None) -> str | None:
    if cursor is None:
        return None
    return base64.urlsafe_b64encode(f"{cursor[0]}.{cursor[1]}".encode()).decode().rstrip("=")
