"""Places with limits of their own: what the maps become, and that the promised rate holds with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trd.config import ScoringConfig
from trd.decision.calibrate import calibrate
from trd.decision.calibration import Calibration
from trd.decision.maps import Decision, decide
from trd.decision.units import GoodMaps, units_without_each
from trd.export.single import Decided

SIDE = 16
Maps = dict[str, NDArray[np.float32]]


def drawn(rng: np.random.Generator, count: int) -> Maps:
    strength = rng.gamma(8, 1 / 8, (count, 1, 1))
    return {n: (strength * rng.standard_t(3, (count, SIDE, SIDE)) + 3).astype(np.float32) for n in ("a", "b", "c")}


def one(maps: Maps, index: int) -> Maps:
    return {name: values[index] for name, values in maps.items()}


def factors(value: float, rows: slice = slice(0, 8)) -> NDArray[np.float32]:
    limits = np.ones((SIDE, SIDE), np.float32)
    limits[rows] = value
    return limits


@pytest.fixture(params=["sum", "norm"])
def scoring(request: pytest.FixtureRequest) -> ScoringConfig:
    return ScoringConfig(sigma=1.0, fusion=request.param, false_alarm_rate=0.1, pixel_false_alarm_rate=0.1)


def test_what_is_anomalous_is_divided_and_the_rest_stays(scoring: ScoringConfig) -> None:
    maps = drawn(np.random.default_rng(0), 12)
    calibration = calibrate(maps, [None] * 12, scoring)
    plain = decide(calibration, maps, None)
    limited = decide(calibration, maps, None, limits=factors(2))
    above = plain.fused > 0
    assert 0.01 < above.mean() < 0.99
    np.testing.assert_array_equal(limited.fused[:, 8:], plain.fused[:, 8:])
    np.testing.assert_array_equal(limited.fused[:, :8], np.where(above, plain.fused / 2, plain.fused)[:, :8])
    np.testing.assert_array_equal(limited.score, limited.fused.max(axis=(1, 2)))
    row, column = 3, int(plain.fused[0, 3].argmax())
    at_peak = [{n: float(m[0, row, column]) for n, m in found.maps.items()} for found in (plain, limited)]
    assert calibration.shares(at_peak[0]) == pytest.approx(calibration.shares(at_peak[1]))
    if scoring.fusion == "sum":
        np.testing.assert_allclose(limited.fused, sum(limited.maps.values()), atol=1e-5)


def test_without_limits_and_with_limits_of_1_nothing_changes_by_a_bit(scoring: ScoringConfig) -> None:
    maps, ones = drawn(np.random.default_rng(1), 12), factors(1)
    plain = calibrate(maps, [None] * 12, scoring)
    assert calibrate(maps, [None] * 12, scoring, limits=[None] * 12) == plain
    assert calibrate(maps, [None] * 12, scoring, limits=[ones] * 12) == plain
    same(decide(plain, maps, None), decide(plain, maps, None, limits=ones))


def same(first: Decision[NDArray[np.float32]], second: Decision[NDArray[np.float32]]) -> None:
    np.testing.assert_array_equal(first.fused, second.fused)
    np.testing.assert_array_equal(first.score, second.score)
    for name, values in first.maps.items():
        np.testing.assert_array_equal(values, second.maps[name])


def test_each_part_is_measured_by_the_others_units_and_its_own_limits(scoring: ScoringConfig) -> None:
    maps, rng = drawn(np.random.default_rng(2), 12), np.random.default_rng(3)
    limits = [factors(rng.uniform(0.3, 4), slice(k, k + 6)) for k in range(10)] + [None, factors(0.5)]
    calibration = calibrate(maps, [None] * 12, scoring, limits=limits)
    units = units_without_each(GoodMaps(maps, [None] * 12, scoring.sigma), scoring.fusion)
    expected = sorted(
        float(decide(replace(calibration, maps=units[k]), one(maps, k), None, limits=limits[k]).score)
        for k in range(12)
    )
    np.testing.assert_array_equal(calibration.good_scores, expected)
    assert calibration.maps == calibrate(maps, [None] * 12, scoring).maps


def test_a_lenient_place_hides_and_a_strict_one_shows(scoring: ScoringConfig) -> None:
    maps = drawn(np.random.default_rng(4), 30)
    odd = one(drawn(np.random.default_rng(5), 1), 0)
    for values in odd.values():
        values[3:5, 3:5] += 8
    scores = {}
    for factor in (0.5, 1.0, 3.0):
        limits = factors(factor)
        calibration = calibrate(maps, [None] * 30, scoring, limits=[limits] * 30)
        scores[factor] = float(decide(calibration, odd, None, limits=limits).score)
    assert scores[0.5] == pytest.approx(2 * scores[1.0], rel=1e-5)
    assert scores[3.0] < scores[1.0]


def test_tensors_are_decided_as_arrays(scoring: ScoringConfig) -> None:
    maps = drawn(np.random.default_rng(6), 12)
    limits = factors(2.5)
    calibration = calibrate(maps, [None] * 12, scoring, limits=[limits] * 12)
    region = np.ones((12, SIDE, SIDE), bool)
    region[:, 12:] = False
    plain = decide(calibration, maps, region, limits=limits)
    module = Decided(calibration, (SIDE, SIDE), limits)
    *branches, fused, score = module(*map(torch.from_numpy, maps.values()), torch.from_numpy(region).float())
    np.testing.assert_allclose(fused.numpy(), plain.fused, atol=2e-5)
    np.testing.assert_allclose(score.numpy(), plain.score, atol=2e-5)
    for values, tensor in zip(plain.maps.values(), branches, strict=True):
        np.testing.assert_allclose(tensor.numpy(), values, atol=2e-5)


def false_alarms(fusion: str, repeats: int) -> Iterator[float]:
    """Of each calibration set: the share of new parts above its threshold, less what it promises. Each part has the
    place with another limit somewhere else, as where regions follow the part."""
    rng, count, new = np.random.default_rng(7), 19, 60
    scoring = ScoringConfig(sigma=1.0, fusion=fusion, false_alarm_rate=0.05, pixel_false_alarm_rate=0.1)

    def limits() -> NDArray[np.float32]:
        values, (row, column) = factors(0.4, slice(10, 16)), rng.integers(0, 9, 2)
        values[row : row + 6, column : column + 6] = 3
        return values

    for _ in range(repeats):
        maps, places = drawn(rng, count + new), [limits() for _ in range(count + new)]
        good = {name: values[:count] for name, values in maps.items()}
        calibration: Calibration = calibrate(good, [None] * count, scoring, limits=places[:count])
        parts = range(count, count + new)
        scores = np.array([float(decide(calibration, one(maps, k), None, limits=places[k]).score) for k in parts])
        threshold = calibration.image_threshold
        yield float((scores > threshold.value).mean()) - threshold.guaranteed_rate


@pytest.mark.parametrize("fusion", ["sum", "norm"])
def test_the_promised_rate_holds_with_limits(fusion: str) -> None:
    """On average at most two standard errors above it, and near it."""
    excess = np.array(list(false_alarms(fusion, 40)))
    error = excess.std() / np.sqrt(len(excess))
    assert -0.03 < excess.mean() <= 2 * error
