from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss

from trd.statistics.sequential import evidence_of_majority


@pytest.mark.parametrize(("hits", "count"), [(0, 0), (3, 3), (5, 9), (2, 20), (60, 80)])
def test_it_is_the_mean_likelihood_ratio(hits: int, count: int) -> None:
    nodes, weights = leggauss(200)
    chance = 0.75 + nodes / 4  # between 1/2 and 1, whose weights add up to 2
    ratio = (2 * chance) ** hits * (2 * (1 - chance)) ** (count - hits)
    assert evidence_of_majority(hits, count) == pytest.approx(float(weights @ ratio) / 2)


@pytest.mark.parametrize("least", [20, 40])
def test_an_even_coin_that_is_looked_at_after_each_toss_seldom_reaches_it(least: int) -> None:
    """Exactly, over all rows of 120 tosses: the probability of each number of hits of rows that never reached it."""
    going, reached = np.ones(1), 0.0
    for count in range(1, 121):
        going = (np.append(going, 0.0) + np.insert(going, 0, 0.0)) / 2
        over = np.array([evidence_of_majority(hits, count) >= least for hits in range(count + 1)])
        reached += float(going[over].sum())
        going[over] = 0.0
    assert 0.3 / least < reached <= 1 / least


def test_it_stays_a_number() -> None:
    assert 1e300 < evidence_of_majority(2000, 2000) < float("inf")


def test_more_hits_than_tosses_are_refused() -> None:
    with pytest.raises(ValueError, match="3 hits of 2"):
        evidence_of_majority(3, 2)
