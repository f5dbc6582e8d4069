import numpy as np
import pytest
from scipy.stats import beta, binom

from trd.statistics.intervals import share_interval


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
