import numpy as np
import pytest

from trd.statistics import leave_one_out


@pytest.mark.parametrize("decimals", [0, 6])
@pytest.mark.parametrize("sizes", [(4,), (5,), (3, 8), (6, 6, 7), (40, 3, 11, 25, 1)])
def test_medians_are_those_of_the_others(sizes: tuple[int, ...], decimals: int) -> None:
    """Even and odd numbers, parts of different size, with and without ties."""
    rng = np.random.default_rng(sum(sizes))
    parts = [np.round(rng.normal(rng.normal(), 2, size), decimals).astype(np.float32) for size in sizes]
    others = [parts[:i] + parts[i + 1 :] or parts for i in range(len(parts))]
    expected = [np.median(np.concatenate(some)) for some in (*others, parts)]
    np.testing.assert_allclose(leave_one_out.medians(parts), expected, rtol=1e-6)


def test_medians_of_equal_values() -> None:
    assert leave_one_out.medians([np.full(5, 2, np.float32)] * 3).tolist() == [2, 2, 2, 2]


def test_totals_and_minima_are_those_of_the_others() -> None:
    assert leave_one_out.totals(np.array([1.0, 2, 4])).tolist() == [6, 5, 3, 7]
    assert leave_one_out.totals(np.array([[1.0, 2], [4, 8]])).tolist() == [[4, 8], [1, 2], [5, 10]]
    assert leave_one_out.minima(np.array([3.0, 1, 2])).tolist() == [1, 2, 1, 1]
    assert leave_one_out.minima(np.array([1.0, 1])).tolist() == [1, 1, 1]
    for function in (leave_one_out.totals, leave_one_out.minima):
        assert function(np.array([5.0])).tolist() == [5, 5]  # one part alone has no others
