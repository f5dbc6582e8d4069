"""When a lesson's detector served, told by the events of switches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection

from trd_station.store import verdicts
from trd_station.store.verdicts import EventFilters

MOST = 10_000  # switches of a class

Taught = Literal["taught", "serving", "taken_back", "replaced"]


@dataclass(frozen=True)
class Service:
    """before: the model in whose place it served; after: the one in its place, both None where nothing tells. who,
    reason: of its end. since, until: milliseconds since 1970."""

    since: int
    before: int | None
    until: int | None = None
    after: int | None = None
    who: str = ""
    reason: str = ""


def switches(connection: Connection, class_id: int) -> list[dict[str, Any]]:
    """Events, oldest first."""
    rows, _ = verdicts.events(connection, EventFilters(class_id, kind="model"), None, MOST)
    return [row for row in reversed(rows) if "to" in row["data"]]


def services(events: Iterable[Mapping[str, Any]], models: Collection[int]) -> list[Service]:
    """Of a detector with these numbers of models, oldest first. events: of `switches`."""
    periods: list[Service] = []
    for row in events:
        data = row["data"]
        begins, ends = data["to"] in models, data["from"] in models
        if begins and not ends:
            periods.append(Service(row["at"], data["from"]))
        elif ends and not begins and periods:
            end = {"who": data.get("who", ""), "reason": data.get("reason", "")}
            periods[-1] = replace(periods[-1], until=row["at"], after=data["to"], **end)
    return periods


def state_of(service: Service | None, serves: bool, detectors: Mapping[int, str]) -> Taught:
    """service: the last one. detectors: identities by numbers of models."""
    if serves:
        return "serving"
    if service is None:
        return "taught"
    before, after = service.before, service.after
    went_back = before is not None and after is not None and detectors.get(after) == detectors.get(before)
    return "taken_back" if went_back else "replaced"
