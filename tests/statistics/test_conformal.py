import numpy as np
import pytest

from trd.statistics.conformal import (
    conformal_pixel_threshold,
    conformal_threshold,
    false_alarm_rate,
    p_value,
)


@pytest.mark.parametrize(("count", "rate"), [(19, 0.05), (40, 0.1), (99, 0.01)])
def test_the_conformal_false_alarm_rate_holds(count: int, rate: float) -> None:
    """Averaged over calibration sets, a new good part exceeds the threshold with the guaranteed probability."""
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(4000):
        scores = rng.exponential(size=count)
        threshold = conformal_threshold(scores, rate)
        rates.append(np.exp(-threshold.value))  # P(new > value) for the exponential, exactly
    assert threshold.attained
    assert threshold.guaranteed_rate <= rate + 1e-12
    assert np.mean(rates) == pytest.approx(threshold.guaranteed_rate, rel=0.08)
    assert false_alarm_rate(np.sort(scores), threshold.value) == pytest.approx(threshold.guaranteed_rate)


def test_too_few_parts_say_what_they_can_promise() -> None:
    threshold = conformal_threshold(np.arange(12.0), 0.05)
    assert threshold.value == 11
    assert not threshold.attained
    assert threshold.guaranteed_rate == pytest.approx(1 / 13)


def test_the_pixel_risk_is_controlled() -> None:
    rng = np.random.default_rng(1)
    share = []
    for _ in range(300):
        maps = [rng.normal(rng.normal(), 1, 400).astype(np.float32) for _ in range(30)]
        threshold = conformal_pixel_threshold(maps, 0.1)
        share.append((rng.normal(rng.normal(), 1, 4000) > threshold.value).mean())
    assert threshold.guaranteed_rate == 0.1
    assert 0.05 < np.mean(share) <= 0.105
    few = conformal_pixel_threshold(maps[:5], 0.01)
    assert few.value == max(m.max() for m in maps[:5])
    assert not few.attained


@pytest.mark.parametrize("rate", [0.12, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("decimals", [1, 6])
def test_the_pixel_threshold_is_the_least_value_within_the_budget(rate: float, decimals: int) -> None:
    """Against a look at every pixel: parts of different size, with ties, below and above 0."""
    rng = np.random.default_rng(2)
    maps = [np.round(rng.normal(size=rng.integers(5, 60)), decimals).astype(np.float32) for _ in range(9)]
    values = np.unique(np.concatenate(maps))
    share = np.array([np.mean([(m > value).mean() for m in maps]) for value in values])
    least = values[(9 * share + 1) / 10 <= rate + 1e-9][0]
    assert conformal_pixel_threshold(maps, rate).value == least


def test_p_values_count_good_parts_at_least_as_anomalous() -> None:
    scores = np.arange(20.0)
    assert p_value(scores, 1e9) == pytest.approx(1 / 21)
    assert p_value(scores, -1e9) == 1
    assert p_value(scores, scores[15]) == pytest.approx(6 / 21)
    assert false_alarm_rate(scores, scores[15]) == pytest.approx(5 / 21)
