"""New limits from parts that were judged here, and what the audit says of false alarms and escapes.

Only sampled parts count. They were drawn by chance before anything was known of them, so the good ones among them are
good parts as they come, and the next good part is exchangeable with them. Parts that people looked at because they were
flagged are not: among them the good ones score high. Limits from those would let defects pass; limits from accepted
parts alone would reject too many. `tests/station/test_promise.py` shows both.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, true

from trd.statistics.intervals import share_interval
from trd_station.deciding import Limits, limits_for
from trd_station.shelf.shelf import Serving
from trd_station.store.schema import DECISIONS, inspection
from trd_station.store.versions import Period

c = inspection.c
FEWEST = 2  # parts that a threshold is made from


@dataclass(frozen=True)
class Usable:
    """scores: of the sampled good parts. refused: reason -> number of judged parts that do not count."""

    scores: tuple[float, ...]
    refused: dict[str, int]


def usable(connection: Connection, serving: Serving, since: int | None) -> Usable:
    """Judged parts of the class, from `since` on, by whether they may recalibrate the model that serves."""
    query = select(c.score, c.verdict, c.sampled, c.model_id).where(
        c.class_id == serving.version.class_id, c.verdict.is_not(None), c.score.is_not(None)
    )
    if since is not None:
        query = query.where(c.at >= since)
    scores = []
    refused: Counter[str] = Counter(not_sampled=0, not_good=0, other_model=0)
    for row in connection.execute(query):
        if row.model_id != serving.version.id:
            refused["other_model"] += 1
        elif not row.sampled:
            refused["not_sampled"] += 1
        elif row.verdict != "good":
            refused["not_good"] += 1
        else:
            scores.append(float(row.score))
    return Usable(tuple(scores), dict(refused))


def proposed(
    parts: Usable, serving: Serving, reject_rate: float, review_rate: float, with_training: bool
) -> Limits | None:
    """None with too few parts."""
    if len(parts.scores) < FEWEST:
        return None
    scores = list(parts.scores)
    promise = "guaranteed"
    if with_training:
        calibration = serving.detector.calibration
        scores += calibration.good_scores
        promise = calibration.promise
    return limits_for(scores, reject_rate, review_rate, promise)


def note(parts: Usable, limits: Limits | None, reject_rate: float) -> str | None:
    """A sentence where something stands against these limits."""
    if limits is None:
        return f"{len(parts.scores)} sampled parts with the verdict good; at least {FEWEST} are needed"
    count = len(limits.good_scores)
    if 1 / (count + 1) > reject_rate:
        return (
            f"{count} good parts cannot promise less than {1 / (count + 1):.1%}; for {reject_rate:.1%} "
            f"{math.ceil(1 / reject_rate - 1e-9) - 1} are needed"
        )
    return None


@dataclass(frozen=True)
class Estimate:
    """A share with its 95 % interval (Clopper-Pearson)."""

    hits: int
    count: int

    def to_json(self) -> dict[str, float | int | None]:
        low, high = share_interval(self.hits, self.count)
        value = self.hits / self.count if self.count else None
        return {"hits": self.hits, "count": self.count, "value": value, "low": low, "high": high}


@dataclass(frozen=True)
class Estimates:
    """From sampled parts that were judged good or defect."""

    false_rejects: Estimate
    false_reviews: Estimate
    escapes: Estimate
    missed: Estimate
    sampled: int
    without_verdict: int


def audit_counts(
    connection: Connection, class_id: int, models: Collection[int], period: Period
) -> Counter[tuple[str, str | None]]:
    """(decision, verdict) -> number of sampled parts that these models decided."""
    query = select(c.decision, c.verdict, func.count()).where(
        *(c.sampled == true(), c.class_id == class_id, c.model_id.in_(models), c.score.is_not(None)),
        *period.conditions(),
    )
    rows = connection.execute(query.group_by(c.decision, c.verdict))
    return Counter({(DECISIONS[decision], verdict): count for decision, verdict, count in rows})


def estimates(connection: Connection, class_id: int, model_id: int, period: Period) -> Estimates:
    """Of the parts that a model decided: another one's decisions say nothing of it."""
    counts = audit_counts(connection, class_id, (model_id,), period)
    good = {decision: counts[decision, "good"] for decision in DECISIONS}
    defect = {decision: counts[decision, "defect"] for decision in DECISIONS}
    return Estimates(
        false_rejects=Estimate(good["reject"], sum(good.values())),
        false_reviews=Estimate(good["review"], sum(good.values())),
        escapes=Estimate(defect["ok"], defect["ok"] + good["ok"]),
        missed=Estimate(defect["ok"], sum(defect.values())),
        sampled=sum(counts.values()),
        without_verdict=sum(count for (_, verdict), count in counts.items() if verdict is None),
    )
