"""Tests that may be looked at again and again while observations come."""

from __future__ import annotations

import math

MOST = 700.0  # the logarithm of about the largest number


def evidence_of_majority(hits: int, count: int) -> float:
    """How much `hits` of `count` coin tosses speak for a coin that shows hits more often than not.

    Each look at a growing row of tosses of an even coin may take this value: the probability that any of them ever
    reaches 1 / a is at most a (Ville's inequality). It is the likelihood ratio of a coin whose probability is drawn
    uniformly between 1/2 and 1, to an even one. Raises ValueError for more hits than tosses.
    """
    if not 0 <= hits <= count:
        raise ValueError(f"{hits} hits of {count}")
    log = math.log(sum(math.comb(count + 1, k) for k in range(hits + 1)))
    log -= math.log((count + 1) * math.comb(count, hits))
    return math.exp(min(log, MOST))
