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

Decision = Literal["ok", "review", "reject"]
SCORED: tuple[Decision, ...] = ("ok", "review", "reject")
VERDICTS = ("good", "defect", "unsure")
FLIPS = 100  # parts that a what-if names, with verdicts and without


@dataclass(frozen=True)
class Limits:
    """Scores above `reject_above` are rejected, those between are reviewed. good_scores: ascending, of the good parts
    that promise the rates."""

    review_above: float
    reject_above: float
    good_scores: tuple[float, ...]
    promise: str = "guaranteed"

    def decision(self, score: float) -> Decision:
        if score > self.reject_above:
            return "reject"
        return "review" if score > self.review_above else "ok"

    def decisions(self, scores: NDArray[np.float64]) -> NDArray[np.int64]:
        """Places in SCORED."""
        return (scores > self.review_above).astype(np.int64) + (scores > self.reject_above)

    @cached_property
    def _good(self) -> NDArray[np.float64]:
        return np.array(self.good_scores, np.float64)

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the good scores, 1 where they are all the same."""
        return float(np.std(self._good)) or 1.0

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
class Scored:
    """A part with its score. verdict: None where it has none."""

    id: int
    score: float
    verdict: str | None


@dataclass(frozen=True)
class Flip:
    """A part whose decision would be another one."""

    part: Scored
    before: Decision
    after: Decision


@dataclass(frozen=True)
class WhatIf:
    """now, then: decision -> number of recent parts. changes: (before, after) -> number. verdicts: verdict -> decision
    that the part would get -> number. flips: parts with verdicts; changed: recent parts without; at most FLIPS each."""

    limits: Limits
    parts: int
    now: dict[str, int]
    then: dict[str, int]
    changes: dict[tuple[Decision, Decision], int]
    verdicts: dict[str, dict[Decision, int]]
    flips: tuple[Flip, ...]
    changed: tuple[Flip, ...]


def what_if(before: Limits, after: Limits, recent: Sequence[Scored], judged: Sequence[Scored]) -> WhatIf:
    """What `after` would have made of recent parts and of the parts with verdicts, where `before` decided."""
    old, new = (limits.decisions(_scores(recent)) for limits in (before, after))
    pairs = np.bincount(old * len(SCORED) + new, minlength=len(SCORED) ** 2).reshape(len(SCORED), -1)
    changes = {
        (SCORED[i], SCORED[j]): int(pairs[i, j])
        for i in range(len(SCORED))
        for j in range(len(SCORED))
        if i != j and pairs[i, j]
    }
    verdicts = {name: dict.fromkeys(SCORED, 0) for name in VERDICTS}
    becomes = after.decisions(_scores(judged)).tolist()
    for (verdict, place), count in Counter(zip((part.verdict for part in judged), becomes, strict=True)).items():
        if verdict is not None:
            verdicts[verdict][SCORED[place]] += count
    return WhatIf(
        after,
        len(recent),
        {name: int(pairs[i].sum()) for i, name in enumerate(SCORED)},
        {name: int(pairs[:, i].sum()) for i, name in enumerate(SCORED)},
        changes,
        verdicts,
        _flips(before, after, judged),
        _flips(before, after, [part for part in recent if part.verdict is None]),
    )


def _scores(parts: Sequence[Scored]) -> NDArray[np.float64]:
    return np.array([part.score for part in parts], np.float64)


def _flips(before: Limits, after: Limits, parts: Sequence[Scored]) -> tuple[Flip, ...]:
    was, becomes = (limits.decisions(_scores(parts)) for limits in (before, after))
    return tuple(
        Flip(parts[place], SCORED[was[place]], SCORED[becomes[place]])
        for place in np.flatnonzero(was != becomes)[:FLIPS].tolist()
    )
