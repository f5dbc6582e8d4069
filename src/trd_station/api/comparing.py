"""A part as another model or other limits would have it, and the good part that is most like it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import Field

from trd.detector import Detector
from trd_station.api.access import needs, router
from trd_station.api.answers.describing import describe
from trd_station.api.answers.parts import NearestGood, Under
from trd_station.api.common import GREATEST, Identifier, inspection_of, station_of
from trd_station.api.media import sample_of
from trd_station.api.models import model_of
from trd_station.api.problems import Problem
from trd_station.api.threshold import LimitsQuery, limits_of
from trd_station.shelf.shelf import first_threshold
from trd_station.station import Station
from trd_station.store import alike, versions
from trd_station.store.versions import ThresholdVersion

routes = router()


class UnderQuery(LimitsQuery):
    """model, threshold: those that decided where they are not given, of another model its active threshold."""

    model: Annotated[int | None, Field(ge=1, le=GREATEST)] = None
    threshold: Annotated[int | None, Field(ge=1, le=GREATEST)] = None


@routes.get("/v1/inspections/{number}/under", openapi_extra=needs("operator"), responses=describe(Under))
def under(request: Request, number: Identifier, query: Annotated[UnderQuery, Query()]) -> dict[str, Any]:
    """What another model, version of the threshold or limit would have decided; nothing is stored."""
    station = station_of(request)
    row = inspection_of(station, number)
    if row["score"] is None:
        raise Problem(404, "no_map", f"inspection {number} has no score: {row['reason']}")
    model = query.model or row["model_id"]
    threshold = _threshold(station, row, model, query.threshold)
    limits = threshold.limits
    if any(
        value is not None for value in (query.reject_above, query.review_above, query.reject_rate, query.review_rate)
    ):
        limits = limits_of(query, limits)
    score = row["score"] if model == row["model_id"] else _scored_by(station, row, model)
    return {
        "inspection": number,
        "model": model,
        "threshold": threshold.id or None,
        "score": score,
        "decision": limits.decision(score),
        "p_value": limits.p_value(score),
        "review_above": limits.review_above,
        "reject_above": limits.reject_above,
    }


def _threshold(station: Station, row: dict[str, Any], model: int, number: int | None) -> ThresholdVersion:
    """Raises Problem for one that is not of the model."""
    if number is None and model == row["model_id"]:
        return station.serializer.threshold_of(row["threshold_id"])
    with station.database.reading() as connection:
        version: ThresholdVersion | None
        if number is None:
            version = versions.active_threshold(connection, model) or _first(station, model)
        else:
            version = versions.threshold_by_id(connection, number)
    if version is None or version.model_id != model or version.class_id != row["class_id"]:
        raise Problem(404, "no_threshold", f"model {model} has no threshold {'' if number is None else number}".strip())
    return version


def _first(station: Station, model: int) -> ThresholdVersion:
    """Of a model that has not served yet: what it would begin with. Raises Problem."""
    return first_threshold(model_of(station, model), _in_memory(station, model), station.settings.review_factor)


def _in_memory(station: Station, model: int) -> Detector:
    detector = station.shelf.in_memory(model)
    if detector is None:
        raise Problem(404, "no_model", f"model {model} is not in memory: load it on the page Models")
    return detector


def _scored_by(station: Station, row: dict[str, Any], model: int) -> float:
    """By a model in memory. Raises Problem."""
    detector = _in_memory(station, model)
    _, sample = sample_of(station, row)
    return detector.predict(sample).score


@routes.get("/v1/inspections/{number}/nearest-good", openapi_extra=needs("viewer"), responses=describe(NearestGood))
def nearest_good(request: Request, number: Identifier) -> dict[str, Any]:
    """The good part that was inspected here and whose measures are most alike."""
    station = station_of(request)
    row = inspection_of(station, number)
    with station.database.reading() as connection:
        rows = alike.good_parts(connection, row)
    rows = [other for other in rows if station.serializer.inspection(other)["images"]]
    if not rows:
        return {"inspection": None}
    place = alike.most_alike(row["measures"] or {}, [other["measures"] or {} for other in rows])
    return {"inspection": station.serializer.inspection(rows[place])}
