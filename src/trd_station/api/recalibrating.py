"""New limits from sampled parts, seen before they are put in force; estimates from the audit."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from trd_station import recalibration
from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.models import Estimates, Proposal, Threshold
from trd_station.api.common import GREATEST, Moment, class_id_of, milliseconds, serving_of, station_of
from trd_station.api.problems import Problem
from trd_station.api.threshold import Rate, Reason, Version, in_force, reason_in, what_if_json
from trd_station.deciding import Limits
from trd_station.shelf.shelf import Serving
from trd_station.station import Station
from trd_station.store.versions import Period, ThresholdVersion

routes = router()
VIEWER, ENGINEER = needs("viewer"), needs("engineer")


class RecalibrationQuery(BaseModel):
    reject_rate: Rate = 0.05
    review_rate: Rate = 0.1
    with_training: bool = False
    since: Moment | None = None


class Recalibration(RecalibrationQuery):
    model_config = ConfigDict(extra="forbid")

    reason: Reason
    expects: Version | None = None


@routes.get("/v1/classes/{class_name}/recalibration", openapi_extra=VIEWER, responses=describe(Proposal))
def proposal(request: Request, class_name: str, query: Annotated[RecalibrationQuery, Query()]) -> dict[str, Any]:
    station = station_of(request)
    serving = serving_of(station, class_name)
    usable, limits = _recalibrated(station, serving, query)
    good_count = len(limits.good_scores) if limits else len(usable.scores)
    return {
        "usable": len(usable.scores),
        "refused": usable.refused,
        "good_count": good_count,
        "proposal": None if limits is None else what_if_json(station, serving, limits, 10_000),
        "enough_for_rate": 1 / (good_count + 1),
        "note": recalibration.note(usable, limits, query.reject_rate),
    }


def _recalibrated(
    station: Station, serving: Serving, query: RecalibrationQuery
) -> tuple[recalibration.Usable, Limits | None]:
    with station.database.reading() as connection:
        usable = recalibration.usable(connection, serving, milliseconds(query.since))
    limits = recalibration.proposed(usable, serving, query.reject_rate, query.review_rate, query.with_training)
    return usable, limits


@routes.post(
    "/v1/classes/{class_name}/recalibration",
    status_code=201,
    openapi_extra=ENGINEER,
    responses=describe(Threshold, 201),
)
def recalibrate(request: Request, class_name: str, body: Recalibration) -> JSONResponse:
    station = station_of(request)
    serving = serving_of(station, class_name)
    usable, limits = _recalibrated(station, serving, body)
    if limits is None:
        raise Problem(422, "parameter", recalibration.note(usable, None, body.reject_rate) or "")
    made_from = "both" if body.with_training else "sampled"
    new = ThresholdVersion(
        serving.version.class_id, serving.version.id, limits, made_from, who(request), reason_in(body.reason)
    )
    return in_force(station, class_name, new, body.expects)


class PeriodQuery(BaseModel):
    """model: by default the one that serves."""

    model: Annotated[int | None, Field(ge=1, le=GREATEST)] = None
    since: Moment | None = None
    until: Moment | None = None


@routes.get("/v1/classes/{class_name}/estimates", openapi_extra=VIEWER, responses=describe(Estimates))
def estimates(request: Request, class_name: str, query: Annotated[PeriodQuery, Query()]) -> dict[str, Any]:
    station = station_of(request)
    number = class_id_of(station, class_name)
    model = query.model or serving_of(station, class_name).version.id
    period = Period(milliseconds(query.since), milliseconds(query.until))
    with station.database.reading() as connection:
        audit = recalibration.estimates(connection, number, model, period)
    return {
        **{name: getattr(audit, name).to_json() for name in ("false_rejects", "false_reviews", "escapes", "missed")},
        "model": model,
        "sampled": audit.sampled,
        "without_verdict": audit.without_verdict,
        "audit_rate": station.settings.audit_rate,
    }
