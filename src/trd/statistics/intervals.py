"""Exact confidence intervals of shares."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
STEPS = 60  # of bisection: 1e-18 of the unit interval


def share_interval(hits: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper-Pearson interval of the probability behind `hits` of `count`; (0, 1) for none at all.

    Its coverage is at least `confidence` whatever the probability is.
    """
    if not 0 <= hits <= count:
        raise ValueError(f"{hits} hits of {count}")
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _root(lambda p: _at_least(hits, count, p) - tail)
    high = 1.0 if hits == count else _root(lambda p: tail - (1 - _at_least(hits + 1, count, p)))
    return low, high


def independent_count(hits: NDArray[np.float64], counts: NDArray[np.float64]) -> int:
    """How many independent observations are worth as much as those of G clusters, which may resemble each other.

    hits, counts: (G,) of each cluster. At most all of them; `share_interval` of so many with the same share is the one
    for clusters (Korn and Graubard 1998). Where all are hits, or none, nothing shows how alike a cluster's are, and G
    comes back.
    """
    clusters, total = len(counts), float(counts.sum())
    share = float(hits.sum()) / total
    if clusters < 2 or share in (0.0, 1.0):
        return clusters
    variance = clusters / (clusters - 1) * float(np.square(hits - share * counts).sum()) / total**2
    return max(1, int(min(total, share * (1 - share) / variance if variance else total)))


def _at_least(hits: int, count: int, probability: float) -> float:
    """P(X >= hits) for a binomial X."""
    if probability in (0.0, 1.0):
        return float(hits == 0 or probability == 1.0)
    logs = math.log(probability), math.log1p(-probability)
    factorial = math.lgamma(count + 1)
    return math.fsum(
        math.exp(factorial - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * logs[0] + (count - k) * logs[1])
        for k in range(hits, count + 1)
    )


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function crosses 0 between 0 and 1."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
