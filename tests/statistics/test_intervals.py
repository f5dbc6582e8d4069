import numpy as np
import pytest
from scipy.stats import beta, binom

from trd.statistics.intervals import independent_count, share_interval


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (2, 87), (3, 87), (20, 40), (400, 400), (0, 900), (7, 19)])
def test_clopper_and_pearson_by_the_beta_distribution(hits: int, count: int) -> None:
    low = 0.0 if hits == 0 else beta.ppf(0.025, hits, count - hits + 1)
    high = 1.0 if hits == count else beta.ppf(0.975, hits + 1, count - hits)
    assert share_interval(hits, count) == pytest.approx((low, high), abs=1e-9)


def test_it_covers_at_least_as_often_as_promised() -> None:
    low, high = np.transpose([share_interval(hits, 30) for hits in range(31)])
    for probability in (0.03, 0.5, 0.9):
        inside = (low <= probability) & (probability <= high)
        assert 0.95 <= binom.pmf(np.arange(31), 30, probability) @ inside < 1
    assert share_interval(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="3 hits of 2"):
        share_interval(3, 2)


def test_clusters_count_between_their_number_and_all() -> None:
    counts = np.full(40, 3.0)
    alike = np.repeat([3.0, 0.0], 20)
    assert independent_count(alike, counts) == 39  # each cluster is one observation, less one for the estimated share
    assert independent_count(np.full(40, 1.0), counts) == 120
    assert independent_count(np.full(40, 3.0), counts) == independent_count(0 * counts, counts) == 40


def test_intervals_of_clusters_cover() -> None:
    """Clusters of 3 that hit together with probability 0.6, else one by one; a share of 0.4 in all."""
    rng, inside, naive = np.random.default_rng(0), 0, 0
    for _ in range(600):
        together = rng.random(25) < 0.6
        hits = np.where(together, 3 * (rng.random(25) < 0.4), rng.binomial(3, 0.4, 25)).astype(float)
        worth, share = independent_count(hits, np.full(25, 3.0)), hits.sum() / 75
        low, high = share_interval(round(share * worth), worth)
        inside += min(low, share) <= 0.4 <= max(high, share)
        low, high = share_interval(int(hits.sum()), 75)
        naive += low <= 0.4 <= high
    assert inside / 600 >= 0.94
    assert naive / 600 < 0.9  # as if the defects were independent
