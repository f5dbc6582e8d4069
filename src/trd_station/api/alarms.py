"""When alarms are raised."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from trd_station.alarms.rules import LONGEST_WINDOW, ClassRules, StationRules, rules_to_json
from trd_station.api.access import needs, router, who
from trd_station.api.answers import operation
from trd_station.api.answers.describing import describe
from trd_station.api.common import class_id_of, station_of
from trd_station.api.threshold import Reason, reason_in
from trd_station.station import Station
from trd_station.store import alarm_rules
from trd_station.store.verdicts import NewEvent

routes = router()
VIEWER, ENGINEER = needs("viewer"), needs("engineer")

InRow = Annotated[int, Field(ge=0, le=LONGEST_WINDOW)]
Window = Annotated[int, Field(ge=2, le=LONGEST_WINDOW)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Gigabytes = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class NewClassRules(BaseModel):
    """What is not given stays; 0 switches a rule off."""

    model_config = ConfigDict(extra="forbid")

    rejects_in_row: InRow | None = None
    reject_rate: Share | None = None
    reject_window: Window | None = None
    invalid_in_row: InRow | None = None
    drift: bool | None = None
    lesson: bool | None = None
    reason: Reason


class NewStationRules(BaseModel):
    """What is not given stays; 0 switches a rule off."""

    model_config = ConfigDict(extra="forbid")

    output_dead_s: Seconds | None = None
    disk_free_gb: Gigabytes | None = None
    reason: Reason


@routes.get("/v1/classes/{class_name}/alarm-rules", openapi_extra=VIEWER, responses=describe(operation.ClassRules))
def of_class(request: Request, class_name: str) -> dict[str, Any]:
    station = station_of(request)
    return rules_to_json(station.alarms.class_rules(class_id_of(station, class_name)))


@routes.put("/v1/classes/{class_name}/alarm-rules", openapi_extra=ENGINEER, responses=describe(operation.ClassRules))
def put_of_class(request: Request, class_name: str, body: NewClassRules) -> dict[str, Any]:
    station = station_of(request)
    number = class_id_of(station, class_name)
    with station.changing:
        rules = replace(station.alarms.class_rules(number), **_given(body))
        return _in_force(station, rules, number, who(request), body.reason)


@routes.get("/v1/alarm-rules", openapi_extra=VIEWER, responses=describe(operation.StationRules))
def of_station(request: Request) -> dict[str, Any]:
    return rules_to_json(station_of(request).alarms.station_rules)


@routes.put("/v1/alarm-rules", openapi_extra=ENGINEER, responses=describe(operation.StationRules))
def put_of_station(request: Request, body: NewStationRules) -> dict[str, Any]:
    station = station_of(request)
    with station.changing:
        rules = replace(station.alarms.station_rules, **_given(body))
        return _in_force(station, rules, None, who(request), body.reason)


def _given(body: NewClassRules | NewStationRules) -> dict[str, Any]:
    return body.model_dump(exclude={"reason"}, exclude_none=True)


def _in_force(
    station: Station, rules: ClassRules | StationRules, class_id: int | None, name: str, why: str
) -> dict[str, Any]:
    stored, reason = rules_to_json(rules), reason_in(why)
    add = partial(alarm_rules.add, class_id=class_id, rules=stored, who=name, reason=reason)
    station.database.write(add)
    station.alarms.use(rules, class_id)
    summary = ", ".join(f"{key} {value:g}" for key, value in stored.items())
    station.report(NewEvent("info", "rules", f"alarm rules became {summary}, by {name}: {reason}", class_id, stored))
    station.changed("rules", "" if class_id is None else station.serializer.class_name(class_id))
    return stored
