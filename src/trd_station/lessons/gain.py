"""What a lesson brought on the line: parts drawn at random and judged, before and with it.

Best both models score the same parts. The parts that only one of them rejects then tell which is better, by an exact
sign test. Else the parts that the model before decided are compared with those decided since: other parts, of another
time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from trd.statistics.intervals import share_interval
from trd_station.lessons.service import Service
from trd_station.recalibration import Estimate, audit_counts
from trd_station.store.versions import Period

FOUND, FALSE_ALARMS = "found", "false_alarms"
VERDICTS = {FOUND: "defect", FALSE_ALARMS: "good"}
EVEN = 0.5


@dataclass(frozen=True)
class Comparison:
    """shares: "found" (of defects) and "false_alarms" (of good parts) -> rejected before and with the lesson. worse:
    those of both that got worse beyond chance (95 %)."""

    shares: Mapping[str, tuple[Estimate, Estimate]]
    worse: tuple[str, ...]


def over_time(connection: Connection, class_id: int, models: Collection[int], service: Service) -> Comparison:
    """Parts that the model before decided, and those that the lesson's models decided since. Worse: the intervals do
    not touch."""
    before = () if service.before is None else (service.before,)
    old = _shares(audit_counts(connection, class_id, before, Period(until=service.since)))
    new = _shares(audit_counts(connection, class_id, models, Period(service.since, service.until)))
    shares = {name: (old[name], new[name]) for name in VERDICTS}
    return Comparison(shares, tuple(name for name, both in shares.items() if _apart(name, *both)))


def _shares(counts: Counter[tuple[str, str | None]]) -> dict[str, Estimate]:
    every = {verdict: sum(n for (_, given), n in counts.items() if given == verdict) for verdict in VERDICTS.values()}
    return {name: Estimate(counts["reject", verdict], every[verdict]) for name, verdict in VERDICTS.items()}


def _apart(name: str, before: Estimate, lesson: Estimate) -> bool:
    better, other = (before, lesson) if name == FOUND else (lesson, before)
    return share_interval(better.hits, better.count)[0] > share_interval(other.hits, other.count)[1]


def of_same_parts(result: Mapping[str, Any]) -> Comparison:
    """result: of a trial of the model before and the lesson's on sampled parts."""
    before, lesson = result["models"]
    shares = {name: (_estimate(before[name]), _estimate(lesson[name])) for name in VERDICTS}
    worse = []
    for name, verdict in VERDICTS.items():
        alone_before, alone_lesson = result["alone"][verdict] or (0, 0)
        against = alone_before if name == FOUND else alone_lesson
        if share_interval(against, alone_before + alone_lesson)[0] > EVEN:
            worse.append(name)
    return Comparison(shares, tuple(worse))


def _estimate(values: Mapping[str, Any]) -> Estimate:
    return Estimate(values["hits"], values["count"])
