"""Thresholds: what is in force, what if, new versions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import Query, Request
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from trd_station import serialization
from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.models import Histogram, Threshold, Thresholds, WhatIf
from trd_station.api.common import (
    GREATEST,
    Identifier,
    Moment,
    class_id_of,
    milliseconds,
    serving_of,
    station_of,
)
from trd_station.api.problems import Problem
from trd_station.api.review import printable
from trd_station.deciding import VERDICTS, Limits, Scored, limits_for, what_if
from trd_station.shelf.shelf import Serving
from trd_station.station import Station
from trd_station.store import versions
from trd_station.store.verdicts import NewEvent
from trd_station.store.versions import ALWAYS, Period, ThresholdVersion

routes = router()
VIEWER, ENGINEER = needs("viewer"), needs("engineer")

Score = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Last = Annotated[int, Field(ge=1, le=100_000)]
Version = Annotated[int, Field(ge=1, le=GREATEST)]
Reason = Annotated[str, Field(min_length=1, max_length=1000)]


class LimitsQuery(BaseModel):
    """Limits or rates; what is not given stays."""

    reject_above: Score | None = None
    review_above: Score | None = None
    reject_rate: Rate | None = None
    review_rate: Rate | None = None


class WhatIfQuery(LimitsQuery):
    last: Last = 10_000
    since: Moment | None = None
    until: Moment | None = None


class NewThreshold(LimitsQuery):
    model_config = ConfigDict(extra="forbid")

    reason: Reason
    expects: Version | None = None


def limits_of(query: LimitsQuery, active: Limits) -> Limits:
    """Raises Problem for limits that contradict each other."""
    by_value = query.reject_above is not None or query.review_above is not None
    by_rate = query.reject_rate is not None or query.review_rate is not None
    if by_value and by_rate:
        raise Problem(422, "parameter", "give limits (reject_above, review_above) or rates, not both")
    if not by_value and not by_rate:
        raise Problem(422, "parameter", "give reject_above and review_above, or reject_rate and review_rate")
    if by_rate:
        both = limits_for(
            active.good_scores,
            query.reject_rate or active.reject_rate,
            query.review_rate or active.review_rate,
            active.promise,
        )
        reject = both.reject_above if query.reject_rate else active.reject_above
        review = both.review_above if query.review_rate else min(active.review_above, reject)
    else:
        reject = active.reject_above if query.reject_above is None else query.reject_above
        review = active.review_above if query.review_above is None else query.review_above
    if review > reject:
        raise Problem(
            422, "parameter", f"review_above ({review:.6g}) must not be greater than reject_above ({reject:.6g})"
        )
    return replace(active, review_above=review, reject_above=reject)


def _recent_and_judged(
    station: Station, serving: Serving, last: int, period: Period = ALWAYS
) -> tuple[Sequence[Scored], Sequence[Scored]]:
    with station.database.reading() as connection:
        recent = versions.recent_parts(connection, serving.version.id, last, period)
        return recent, versions.judged(connection, serving.version.class_id, serving.version.id, period)


def what_if_json(
    station: Station, serving: Serving, limits: Limits, last: int, period: Period = ALWAYS
) -> dict[str, Any]:
    begin = time.monotonic()
    recent, judged = _recent_and_judged(station, serving, last, period)
    outcome = what_if(serving.threshold.limits, limits, recent, judged)
    with station.database.reading() as connection:
        parts = versions.part_names(connection, [flip.part.id for flip in (*outcome.flips, *outcome.changed)])
    return serialization.what_if(outcome, parts, 1000 * (time.monotonic() - begin))


@routes.get("/v1/classes/{class_name}/threshold", openapi_extra=VIEWER, responses=describe(Threshold))
def active(request: Request, class_name: str) -> dict[str, Any]:
    station = station_of(request)
    return station.serializer.threshold(serving_of(station, class_name).threshold)


@routes.get("/v1/classes/{class_name}/threshold/versions", openapi_extra=VIEWER, responses=describe(Thresholds))
def all_versions(
    request: Request, class_name: str, model: Annotated[int | None, Query(ge=1, le=GREATEST)] = None
) -> dict[str, Any]:
    station = station_of(request)
    number = class_id_of(station, class_name)
    if model is None:
        model = serving_of(station, class_name).version.id
    with station.database.reading() as connection:
        thresholds = versions.thresholds(connection, model)
    of_class = [threshold for threshold in thresholds if threshold.class_id == number]
    return {"versions": [station.serializer.threshold(threshold) for threshold in of_class]}


@routes.get("/v1/classes/{class_name}/threshold/what-if", openapi_extra=VIEWER, responses=describe(WhatIf))
def if_it_were(request: Request, class_name: str, query: Annotated[WhatIfQuery, Query()]) -> dict[str, Any]:
    station = station_of(request)
    serving = serving_of(station, class_name)
    period = Period(milliseconds(query.since), milliseconds(query.until))
    return what_if_json(station, serving, limits_of(query, serving.threshold.limits), query.last, period)


@routes.get("/v1/classes/{class_name}/threshold/histogram", openapi_extra=VIEWER, responses=describe(Histogram))
def histogram(
    request: Request,
    class_name: str,
    bins: Annotated[int, Query(ge=2, le=500)] = 60,
    last: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
) -> dict[str, Any]:
    station = station_of(request)
    serving = serving_of(station, class_name)
    recent, judged = _recent_and_judged(station, serving, last)
    scores = np.array([part.score for part in recent], np.float64)
    limits = serving.threshold.limits
    good = np.array(limits.good_scores)
    kinds = {name: np.array([part.score for part in judged if part.verdict == name]) for name in VERDICTS}
    shown = np.concatenate([scores, good, *kinds.values(), [limits.review_above, limits.reject_above]])
    # the far end of a few great scores would press all others into one bin
    low, high = float(shown.min()), float(min(shown.max(), max(3 * limits.reject_above, np.quantile(shown, 0.99))))
    edges = np.linspace(low, max(high, low + 1e-6), bins + 1)

    def counts(values: NDArray[np.float64]) -> list[int]:
        return [int(count) for count in np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]]

    columns = {"all": scores, **kinds, "calibration": good}
    return {"edges": edges.tolist(), **{name: counts(values) for name, values in columns.items()}}


@routes.put(
    "/v1/classes/{class_name}/threshold", status_code=201, openapi_extra=ENGINEER, responses=describe(Threshold, 201)
)
def put(request: Request, class_name: str, body: NewThreshold) -> JSONResponse:
    station = station_of(request)
    serving = serving_of(station, class_name)
    before = serving.threshold
    limits = limits_of(body, before.limits)
    new = replace(before, limits=limits, who=who(request), reason=reason_in(body.reason), id=0)
    return in_force(station, class_name, new, body.expects)


def reason_in(text: str) -> str:
    reason = printable(text)
    if reason is None:
        raise Problem(422, "parameter", "body.reason: say why")
    return reason


def in_force(station: Station, class_name: str, new: ThresholdVersion, expects: int | None) -> JSONResponse:
    with station.changing:
        serving = serving_of(station, class_name)
        if serving.version.id != new.model_id or (expects is not None and serving.threshold.id != expects):
            raise Problem(409, "conflict", f"version {serving.threshold.id} is active by now: look at it first")
        stored = station.database.write(partial(versions.add_threshold, version=new))
        station.shelf.set_threshold(class_name, stored)
    _report_change(station, class_name, serving.threshold, stored)
    return JSONResponse(station.serializer.threshold(stored), 201)


def _report_change(station: Station, class_name: str, before: ThresholdVersion, now: ThresholdVersion) -> None:
    old, new = before.limits, now.limits
    text = (
        f"limits {old.review_above:.4g} and {old.reject_above:.4g} became {new.review_above:.4g} and "
        f"{new.reject_above:.4g} (version {now.id}, by {now.who}): {now.reason}"
    )
    data = {"from": before.id, "to": now.id}
    station.report(NewEvent("info", "threshold", text, now.class_id, data))
    station.changed("threshold", class_name)


class Why(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Reason


@routes.post(
    "/v1/classes/{class_name}/threshold/versions/{number}/activate",
    openapi_extra=ENGINEER,
    responses=describe(Threshold),
)
def activate(request: Request, class_name: str, number: Identifier, body: Why) -> dict[str, Any]:
    station = station_of(request)
    reason = reason_in(body.reason)
    with station.changing:
        serving = serving_of(station, class_name)
        with station.database.reading() as connection:
            version = versions.threshold_by_id(connection, number)
        if version is None or version.model_id != serving.version.id:
            raise Problem(
                404, "no_threshold", f"the model that serves '{class_name}' has no threshold version {number}"
            )
        station.database.write(partial(versions.activate_threshold, version=version))
        version = replace(version, active=True)
        station.shelf.set_threshold(class_name, version)
    _report_change(station, class_name, serving.threshold, replace(version, who=who(request), reason=reason))
    return station.serializer.threshold(version)
