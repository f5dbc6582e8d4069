"""What a lesson brought on the line: parts drawn at random and judged, before and with it.

Best both models score the same parts. The parts that only one of them rejects then tell which is better, by a test that
may be looked at again as they get more. Else the parts that the model before decided are compared with those decided
since: other parts, of another time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from trd.statistics.intervals import CONFIDENCE, share_interval
from trd.statistics.sequential import evidence_of_majority
from trd_station.lessons.service import Service
from trd_station.recalibration import Estimate, audit_counts
from trd_station.store.versions import Period

FOUND, FALSE_ALARMS = "found", "false_alarms"
VERDICTS = {FOUND: "defect", FALSE_ALARMS: "good"}
ENOUGH = len(VERDICTS) / (1 - CONFIDENCE)  # evidence that one of them got worse: both together are wrong in 5 %


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
    """result: of a trial of the model before and the lesson's on sampled parts. Chance alone makes it worse in any of
    the trials of a lesson with a probability of at most 5 %, as long as each has the parts of those before."""
    before, lesson = result["models"]
    shares = {name: (_estimate(before[name]), _estimate(lesson[name])) for name in VERDICTS}
    worse = []
    for name, verdict in VERDICTS.items():
        alone_before, alone_lesson = result["alone"][verdict] or (0, 0)
        against = alone_before if name == FOUND else alone_lesson
        if evidence_of_majority(against, alone_before + alone_lesson) >= ENOUGH:
            worse.append(name)
    return Comparison(shares, tuple(worse))


def _estimate(values: Mapping[str, Any]) -> Estimate:
    return Estimate(values["hits"], values["count"])
