"""Thresholds and p-values from the scores of good parts, for parts that are exchangeable with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Threshold:
    """An operating threshold for a requested false-alarm rate, from `count` good parts.

    Scores strictly above `value` are alarms. guaranteed_rate: the false-alarm rate for a further part that is
    exchangeable with the good parts, averaged over sets of good parts (`Calibration` says how far its parts are). It
    exceeds `requested_rate` where `count` is too small: n parts cannot promise less than 1 / (n + 1).
    """

    value: Finite
    requested_rate: Rate
    guaranteed_rate: Rate
    count: Annotated[int, Field(ge=1)]

    @property
    def attained(self) -> bool:
        return self.guaranteed_rate <= self.requested_rate


def p_value(good_scores: Sequence[float] | NDArray[np.float64], score: float) -> float:
    """Share of good parts, with this one, at least as anomalous: (1 + #{good >= score}) / (n + 1).

    The least there is, 1 / (n + 1), says of a score that no good part reached: fewer than 1 in n + 1. good_scores: (n,)
    ascending.
    """
    return (1 + len(good_scores) - int(np.searchsorted(good_scores, score, side="left"))) / (len(good_scores) + 1)


def false_alarm_rate(good_scores: Sequence[float] | NDArray[np.float64], limit: float) -> float:
    """What a limit promises a further good part: (1 + #{good > limit}) / (n + 1). good_scores: (n,) ascending."""
    return (1 + len(good_scores) - int(np.searchsorted(good_scores, limit, side="right"))) / (len(good_scores) + 1)


def conformal_threshold(good_scores: NDArray[np.float64], rate: float) -> Threshold:
    """Split-conformal threshold (Vovk et al. 2005): the ceil((n + 1)(1 - rate))-th smallest of n good scores.

    A further good part scores above it with probability at most `rate` when it is exchangeable with the n parts. With
    n < 1 / rate - 1 that rank does not exist; then the largest score is used, which promises 1 / (n + 1) only.
    """
    count = len(good_scores)
    rank = min(math.ceil((count + 1) * (1 - rate) - 1e-9), count)
    value = float(np.sort(good_scores)[rank - 1])
    return Threshold(value, rate, (count + 1 - rank) / (count + 1), count)


def conformal_pixel_threshold(good_maps: Sequence[NDArray[np.float32]], rate: float) -> Threshold:
    """Conformal risk control (Angelopoulos et al. 2022) of the share of a good part's pixels above the threshold.

    good_maps: the scored pixels of each good part, 1-D. The least value v with (n R(v) + 1) / (n + 1) <= rate, R(v)
    being the mean share above v: the expected share on a further good part is then at most `rate`. Where n < 1 / rate
    - 1 allows no such v, the largest pixel seen is used, which promises 1 / (n + 1).
    """
    count = len(good_maps)
    budget = (rate * (count + 1) - 1) / count
    if budget < 0:
        return Threshold(float(max(values.max() for values in good_maps)), rate, 1 / (count + 1), count)

    def within(value: np.float32) -> bool:
        return float(np.mean([(values > value).mean() for values in good_maps])) <= budget + 1e-12

    lowest = np.float32(min(values.min() for values in good_maps))
    highest = np.float32(max(values.max() for values in good_maps))
    return Threshold(float(_least(within, lowest, highest)), rate, rate, count)


def _least(holds: Callable[[np.float32], bool], low: np.float32, high: np.float32) -> np.float32:
    """The least float32 from `low` to `high` for which `holds`; it holds for `high`, and above each for which it does.

    Bisects the floats' order, so that 32 looks at all values take the place of sorting them.
    """
    if holds(low):
        return low
    fails, works = _ordered(low), _ordered(high)
    while works - fails > 1:
        middle = (fails + works) // 2
        fails, works = (fails, middle) if holds(_float(middle)) else (middle, works)
    return _float(works)


def _ordered(value: np.float32) -> int:
    """A whole number in the order of the floats."""
    bits = int(np.float32(value).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _float(ordered: int) -> np.float32:
    magnitude = np.int32(abs(ordered)).view(np.float32)
    return np.float32(magnitude if ordered >= 0 else -magnitude)
