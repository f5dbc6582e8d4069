"""A model beside the one that serves: it scores the same parts and decides nothing."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from trd_station import times
from trd_station.api.access import needs, router, who
from trd_station.api.answers.describing import describe
from trd_station.api.answers.teaching import ShadowOrNone
from trd_station.api.common import GREATEST, class_id_of, serving_of, station_of
from trd_station.api.models import model_of
from trd_station.api.problems import Problem
from trd_station.station import Station
from trd_station.store import shadows, versions
from trd_station.store.schema import DECISIONS
from trd_station.store.verdicts import NewEvent

routes = router()
VIEWER, ENGINEER = needs("viewer"), needs("engineer")
PATH = "/v1/classes/{class_name}/shadow"
MOST_FLIPS = 100


def _shadow_json(station: Station, class_id: int) -> dict[str, Any]:
    with station.database.reading() as connection:
        shadow = shadows.latest(connection, class_id)
        if shadow is None:
            return {"shadow": None}
        counts = shadows.counts(connection, shadow)
        flips = list(shadows.differing(connection, shadow, MOST_FLIPS))
        version = versions.model_by_id(connection, shadow.model_id)
    assert version is not None  # the shadow's row refers to it
    running = station.shadows.running(class_id)
    agreement: dict[str | None, dict[str, int]] = {}
    for (before, after, verdict), count in counts.items():
        name = {(1, 1): "both", (1, 0): "serving", (0, 1): "shadow"}.get((before, after), "neither")
        agreement.setdefault(verdict, dict.fromkeys(("both", "serving", "shadow", "neither"), 0))[name] += count
    return {
        "shadow": {
            "model": station.model_json(version),
            "reject_above": shadow.reject_above,
            "scoring": running is not None,
            "since": times.to_iso(shadow.since),
            "until": times.to_iso_or_none(shadow.until),
            "who": shadow.who,
            "parts": sum(counts.values()),
            "skipped": running[1].skipped if running else 0,
            "agreement": [{"verdict": verdict, **numbers} for verdict, numbers in agreement.items()],
            "flips": [
                {
                    **flip,
                    "decision": DECISIONS[flip["decision"]],
                    "shadow_rejects": flip["shadow_score"] > shadow.reject_above,
                }
                for flip in flips
            ],
        }
    }


@routes.get(PATH, openapi_extra=VIEWER, responses=describe(ShadowOrNone))
def shadow(request: Request, class_name: str) -> dict[str, Any]:
    """The class's last one, and where it and the serving model disagree."""
    station = station_of(request)
    return _shadow_json(station, class_id_of(station, class_name))


class NewShadow(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: int = Field(ge=1, le=GREATEST)


@routes.put(PATH, openapi_extra=ENGINEER, responses=describe(ShadowOrNone))
def begin(request: Request, class_name: str, body: NewShadow) -> dict[str, Any]:
    """From the next part on, in a process of the lowest priority; parts that come too fast for it are left out."""
    station = station_of(request)
    serving, version = serving_of(station, class_name), model_of(station, body.model)
    if version.class_id != serving.version.class_id or version.id == serving.version.id or version.state == "failed":
        raise Problem(409, "conflict", f"model {version.id} ({version.state}) cannot be the shadow of '{class_name}'")
    station.shadows.begin(version, who(request))
    text = f"{version.name} (model {version.id}) scores beside {serving.version.name} from now on, by {who(request)}"
    station.report(NewEvent("info", "model", text, version.class_id, {"shadow": version.id}))
    station.changed("model", class_name)
    return _shadow_json(station, version.class_id)


@routes.delete(PATH, openapi_extra=ENGINEER, responses=describe(ShadowOrNone))
def end(request: Request, class_name: str) -> dict[str, Any]:
    station = station_of(request)
    number = class_id_of(station, class_name)
    if station.shadows.running(number) is not None:
        station.report(NewEvent("info", "model", f"the shadow was ended by {who(request)}", number))
    station.shadows.end(number)
    station.changed("model", class_name)
    return _shadow_json(station, number)
