"""The norm of what lies above the usual, beside the published sum."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from trd.config import ScoringConfig
from trd.decision.calibrate import calibrate
from trd.decision.calibration import Calibration
from trd.decision.fusion import RULES
from trd.decision.maps import decide, smooth

Maps = dict[str, np.ndarray]
COUNT, SIDE = 6, 24


def normal_maps(seed: int = 0) -> Maps:
    rng = np.random.default_rng(seed)
    return {
        "rgb": rng.normal(3, 2, (COUNT, SIDE, SIDE)).astype(np.float32),
        "xyz": rng.gamma(1, 5, (COUNT, SIDE, SIDE)).astype(np.float32),
    }


def calibrated(raw: Maps, fusion: str, sigma: float = 0.0, region: np.ndarray | None = None) -> Calibration:
    count = len(next(iter(raw.values())))
    scoring = ScoringConfig(sigma=sigma, fusion=fusion, false_alarm_rate=0.2, pixel_false_alarm_rate=0.05)
    return calibrate(raw, [region] * count, scoring)


def fused(calibration: Calibration, raw: Maps) -> np.ndarray:
    return decide(calibration, raw, None).fused


def test_the_norm_in_closed_form() -> None:
    raw, sigma = normal_maps(), 1.5
    calibration = calibrated(raw, "norm", sigma)
    other = {name: maps[0] for name, maps in normal_maps(1).items()}
    parts = []
    for name, maps in raw.items():
        mean, std = maps.astype(float).mean(), maps.astype(float).std()
        smoothed = smooth(((maps - mean) / std).astype(np.float32), sigma)
        median = np.median(smoothed)
        height = smoothed.max(axis=(1, 2)).mean() - median
        units = calibration.maps[name]
        assert units.shift == pytest.approx(mean + std * median, abs=1e-4)
        assert units.scale == pytest.approx(std * height, abs=1e-4)
        parts.append((smooth(((other[name] - mean) / std).astype(np.float32), sigma) - median) / height)
        # one branch: good parts reach 1 at their worst place, on average
        of_good = decide(calibration, raw, None).maps[name].max(axis=(1, 2))
        assert np.mean(of_good) == pytest.approx(1, abs=1e-4)
    expected = np.sqrt(sum(np.maximum(part, 0) ** 2 for part in parts))
    greatest = np.max(parts, axis=0)
    assert (greatest < 0).any()  # such pixels keep an order
    expected = np.where(greatest > 0, expected, greatest)
    np.testing.assert_allclose(fused(calibration, other), expected, atol=1e-4)


def test_levels_are_of_what_is_scored() -> None:
    raw = normal_maps()
    region = np.zeros((SIDE, SIDE), bool)
    region[6:18, 6:18] = True
    inside = calibrated({name: maps[:, 6:18, 6:18] for name, maps in raw.items()}, "norm")
    for maps in raw.values():
        maps[:, ~region] = 1000
    calibration = calibrated(raw, "norm", region=region)
    for name, units in inside.maps.items():
        for key in ("shift", "scale", "minimum"):
            assert getattr(calibration.maps[name], key) == pytest.approx(getattr(units, key), abs=1e-4)
    assert calibration.good_scores == pytest.approx(inside.good_scores, abs=1e-4)


def test_a_branch_that_shows_nothing_is_left_as_it_is() -> None:
    raw = {**normal_maps(), "xyz": np.full((COUNT, SIDE, SIDE), 2, np.float32)}
    calibration = calibrated(raw, "norm")
    assert calibration.maps["xyz"].scale == 1
    assert np.isfinite(calibration.good_scores).all()


def test_floors_are_what_unscored_pixels_count_as() -> None:
    raw = normal_maps()
    region = np.zeros((SIDE, SIDE), bool)
    region[6:18, 6:18] = True
    calibration = calibrated(raw, "norm", region=region)
    one = {name: maps[0] for name, maps in raw.items()}
    decision = decide(calibration, one, region)
    for name, floor in calibration.floors.items():
        np.testing.assert_allclose(decision.maps[name][~region], floor, atol=1e-5)
        assert floor < 0
    assert calibration.fused_floor == max(calibration.floors.values())
    np.testing.assert_allclose(decision.fused[~region], calibration.fused_floor, atol=1e-5)
    # also where they lie above the usual
    low = {name: replace(units, shift=units.shift - 50) for name, units in calibration.maps.items()}
    raised = replace(calibration, maps=low)
    assert raised.fused_floor == pytest.approx(math.hypot(*raised.floors.values()))
    np.testing.assert_allclose(decide(raised, one, region).fused[~region], raised.fused_floor, rtol=1e-5)
    added = calibrated(raw, "sum", region=region)
    assert added.fused_floor == pytest.approx(sum(added.floors.values()))


def test_shares_follow_the_squares_and_add_up_to_1() -> None:
    norm, added = (calibrated(normal_maps(), fusion) for fusion in ("norm", "sum"))
    assert norm.shares({"rgb": 3.0, "xyz": 1.0}) == pytest.approx({"rgb": 0.9, "xyz": 0.1})
    assert added.shares({"rgb": 3.0, "xyz": 1.0}) == pytest.approx({"rgb": 0.75, "xyz": 0.25})
    for calibration in (norm, added):
        assert calibration.shares({"rgb": 3.0, "xyz": -5.0}) == {"rgb": 1.0, "xyz": 0.0}
        assert calibration.shares({"rgb": -3.0, "xyz": -5.0}) == {"rgb": 0.5, "xyz": 0.5}


def test_a_noisy_branch_does_not_hide_what_a_quiet_one_shows() -> None:
    """Good parts have spikes in one branch, of very different height; a defect shows in the other one only."""
    rng = np.random.default_rng(4)
    count = 30
    raw = {name: rng.normal(size=(count + 1, SIDE, SIDE)).astype(np.float32) for name in ("noisy", "quiet")}
    for index in range(count + 1):
        for _ in range(3):
            row, column = rng.integers(SIDE, size=2)
            raw["noisy"][index, row, column] += rng.uniform(10, 40)
    raw["quiet"][count, 5, 7] += 12
    good = {name: maps[:count] for name, maps in raw.items()}
    defective = {name: maps[count] for name, maps in raw.items()}
    added, norm = (calibrated(good, fusion) for fusion in ("sum", "norm"))
    hidden, found = fused(added, defective), fused(norm, defective)
    assert added.p_value(hidden.max()) > 0.2
    assert norm.p_value(found.max()) == pytest.approx(1 / (count + 1))
    assert np.unravel_index(found.argmax(), found.shape) == (5, 7)
    assert np.unravel_index(hidden.argmax(), hidden.shape) != (5, 7)


def test_branches_that_agree_support_each_other() -> None:
    flat = np.zeros((4, 4), np.float32)
    both = {"rgb": flat + 3, "xyz": flat + 4}
    assert (RULES["norm"].fused([*both.values()]) == 5).all()
    assert (RULES["norm"].fused([flat + 3, flat - 4]) == 3).all()  # what is calm takes nothing away
    assert (RULES["sum"].fused([*both.values()]) == 7).all()
    assert (both["rgb"] == 3).all()  # the maps themselves stay as they are


@pytest.mark.parametrize("fusion", ["sum", "norm"])
def test_in_and_out_of_json(fusion: str) -> None:
    calibration = calibrated(normal_maps(), fusion, 1.5)
    again = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    assert again == calibration
    assert again.id == calibration.id
