"""Two limits make three decisions; and what other limits would have made of the parts that were seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trd.statistics.conformal import conformal_threshold, false_alarm_rate, p_value

Scored = Literal["ok", "review", "reject"]
SCORED: tuple[Scored, ...] = ("ok", "review", "reject")
VERDICTS = ("good", "defect", "unsure")
FLIPS = 100  # parts with verdicts that a what-if names


@dataclass(frozen=True)
class Limits:
    """Scores above `reject_above` are rejected, those between are reviewed. good_scores: ascending, of the good parts
    that promise the rates."""

    review_above: float
    reject_above: float
    good_scores: tuple[float, ...]
    promise: str = "guaranteed"

    def decision(self, score: float) -> Scored:
        if score > self.reject_above:
            return "reject"
        return "review" if score > self.review_above else "ok"

    def decisions(self, scores: NDArray[np.float64]) -> NDArray[np.int64]:
        """Places in SCORED."""
        return (scores > self.review_above).astype(np.int64) + (scores > self.reject_above)

    @cached_property
    def _good(self) -> NDArray[np.float64]:
        return np.array(self.good_scores, np.float64)

    def rate(self, limit: float) -> float:
        """Of false alarms that a limit promises a further good part: `conformal_threshold`'s, seen from the limit."""
        return false_alarm_rate(self._good, limit)

    def p_value(self, score: float) -> float:
        """Share of good parts, with this one, at least as anomalous (`Calibration.p_value`)."""
        return p_value(self._good, score)

    @property
    def review_rate(self) -> float:
        return self.rate(self.review_above)

    @property
    def reject_rate(self) -> float:
        return self.rate(self.reject_above)


def limits_for(
    good_scores: Sequence[float], reject_rate: float, review_rate: float, promise: str = "guaranteed"
) -> Limits:
    """Both limits by the library's conformal rule; a review limit above the reject limit is drawn down to it."""
    scores = np.sort(np.array(good_scores, np.float64))
    reject = conformal_threshold(scores, reject_rate).value
    review = min(conformal_threshold(scores, review_rate).value, reject)
    return Limits(review, reject, tuple(scores.tolist()), promise)


@dataclass(frozen=True)
class Judged:
    """A part with a verdict."""

    id: int
    score: float
    verdict: str


@dataclass(frozen=True)
class Flip:
    """A part with a verdict whose decision would be another one."""

    judged: Judged
    before: Scored
    after: Scored


@dataclass(frozen=True)
class WhatIf:
    """now, then: decision -> number of recent parts. changes: (before, after) -> number. verdicts: verdict -> decision
    that the part would get -> number. flips: at most FLIPS."""

    limits: Limits
    parts: int
    now: dict[str, int]
    then: dict[str, int]
    changes: dict[tuple[Scored, Scored], int]
    verdicts: dict[str, dict[Scored, int]]
    flips: tuple[Flip, ...]


def what_if(before: Limits, after: Limits, scores: NDArray[np.float64], judged: Sequence[Judged]) -> WhatIf:
    """What `after` would have made of recent scores and of the parts with verdicts, where `before` decided."""
    old, new = before.decisions(scores), after.decisions(scores)
    pairs = np.bincount(old * len(SCORED) + new, minlength=len(SCORED) ** 2).reshape(len(SCORED), -1)
    changes = {
        (SCORED[i], SCORED[j]): int(pairs[i, j])
        for i in range(len(SCORED))
        for j in range(len(SCORED))
        if i != j and pairs[i, j]
    }
    judged_scores = np.array([part.score for part in judged], np.float64)
    was, becomes = before.decisions(judged_scores), after.decisions(judged_scores)
    verdicts = {name: dict.fromkeys(SCORED, 0) for name in VERDICTS}
    for (verdict, place), count in Counter(
        zip((part.verdict for part in judged), becomes.tolist(), strict=True)
    ).items():
        verdicts[verdict][SCORED[place]] += count
    flips = [
        Flip(judged[place], SCORED[was[place]], SCORED[becomes[place]])
        for place in np.flatnonzero(was != becomes)[:FLIPS].tolist()
    ]
    return WhatIf(
        after,
        len(scores),
        {name: int(pairs[i].sum()) for i, name in enumerate(SCORED)},
        {name: int(pairs[:, i].sum()) for i, name in enumerate(SCORED)},
        changes,
        verdicts,
        tuple(flips),
    )
