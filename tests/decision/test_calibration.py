import json

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from trd.evidence.reverse_distillation.maps.anomaly_map import anomaly_map

from trd.config import ScoringConfig
from trd.decision.calibrate import calibrate
from trd.decision.calibration import Calibration, conformal_pixel_threshold, conformal_threshold
from trd.decision.maps import branch_maps, fused_map, smooth


def calibrated(raw: dict[str, np.ndarray], regions: list, sigma: float, image_rate: float, pixel_rate: float):
    scoring = ScoringConfig(sigma=sigma, false_alarm_rate=image_rate, pixel_false_alarm_rate=pixel_rate)
    return calibrate(raw, regions, scoring)


@pytest.mark.parametrize(
    ("shape", "sigma"), [((2, 64, 64), 4.0), ((1, 32, 96), 1.5), ((3, 16, 16), 6.0), ((8, 8), 4.0), ((1, 8, 8), 0.0)]
)
def test_smoothing_is_the_published_filter(shape: tuple[int, ...], sigma: float) -> None:
    maps = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    published = gaussian_filter(maps, (*(0.0,) * (maps.ndim - 2), sigma, sigma))
    np.testing.assert_allclose(smooth(maps, sigma), published, atol=3e-7)


def test_the_map_in_closed_form() -> None:
    teacher = (torch.ones(1, 2, 8, 8), torch.ones(1, 2, 4, 4))
    student = (torch.stack([torch.ones(8, 8), -torch.ones(8, 8)])[None], -torch.ones(1, 2, 4, 4))
    # orthogonal at the fine level (1), opposite at the coarse one (2)
    torch.testing.assert_close(anomaly_map(student, teacher, (16, 16)), torch.full((1, 16, 16), 3.0))


def test_calibration_is_the_published_z_score_and_sum() -> None:
    rng = np.random.default_rng(0)
    raw = {
        "rgb": rng.normal(3, 2, (5, 16, 16)).astype(np.float32),
        "xyz": rng.normal(-1, 5, (5, 16, 16)).astype(np.float32),
    }
    calibration = calibrated(raw, [None] * 5, sigma=1.5, image_rate=0.2, pixel_rate=0.05)
    assert calibration.maps["rgb"].mean == pytest.approx(raw["rgb"].astype(float).mean())
    assert calibration.maps["xyz"].std == pytest.approx(raw["xyz"].astype(float).std())
    test = {name: rng.normal(size=(2, 16, 16)).astype(np.float32) for name in raw}
    z = sum((test[n] - raw[n].astype(float).mean()) / raw[n].astype(float).std() for n in raw)
    for index in range(2):
        of_one = {n: m[index] for n, m in test.items()}
        fused = fused_map(branch_maps(of_one, calibration.maps, calibration.sigma, None), "sum")
        np.testing.assert_allclose(fused, smooth(z[index].astype(np.float32), 1.5), atol=1e-5)
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


def test_a_score_is_in_standard_deviations_of_good_parts() -> None:
    """Of the fused map over their scored pixels, whatever the branches' correlation and the smoothing do."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(6, 32, 32))
    raw = {name: (shared + 0.3 * rng.normal(size=shared.shape)).astype(np.float32) for name in ("rgb", "xyz")}
    calibration = calibrated(raw, [None] * 6, sigma=2, image_rate=0.2, pixel_rate=0.05)
    fused = []
    for index in range(6):
        of_one = {n: m[index] for n, m in raw.items()}
        parts = calibration.standardised(branch_maps(of_one, calibration.maps, calibration.sigma, None))
        fused.append(fused_map(parts, "sum"))
    assert np.mean(fused) == pytest.approx(0, abs=1e-4)
    assert np.std(fused) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(sorted(m.max() for m in fused), calibration.good_scores, rtol=1e-5)
    lowest = {n: np.full((32, 32), numbers.minimum, np.float32) for n, numbers in calibration.maps.items()}
    floor = fused_map(calibration.standardised(branch_maps(lowest, calibration.maps, 2, None)), "sum")
    assert sum(calibration.floors.values()) == pytest.approx(float(floor.mean()), abs=1e-4)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("image_threshold", "value"), float("nan")),
        (("maps", "rgb", "std"), 0.0),
        (("maps",), {}),
        (("good_scores",), []),
        (("good_scores",), [float("inf")]),
        (("sigma",), -1),
        (("pixel_threshold", "count"), 0),
    ],
)
def test_damaged_calibrations_are_refused(path: tuple[str, ...], value: object) -> None:
    raw = {"rgb": np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)}
    content = json.loads(json.dumps(calibrated(raw, [None] * 3, sigma=1, image_rate=0.3, pixel_rate=0.3).to_json()))
    assert Calibration.from_json(content)
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_json(content)


def test_another_rate_from_the_stored_scores() -> None:
    raw = {"rgb": np.random.default_rng(0).normal(size=(40, 8, 8)).astype(np.float32)}
    calibration = calibrated(raw, [None] * 40, sigma=0, image_rate=0.05, pixel_rate=0.1)
    other = calibration.for_rate(0.2)
    assert other.image_threshold.value == calibration.good_scores[32]  # ceil(41 * 0.8) = 33rd
    assert other.image_threshold.guaranteed_rate == pytest.approx(8 / 41)
    assert (other.good_scores, other.pixel_threshold) == (calibration.good_scores, calibration.pixel_threshold)
    assert other.id != calibration.id


def test_pixels_outside_the_region_count_as_the_least_anomalous() -> None:
    raw = {"rgb": np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)}
    region = np.zeros((8, 8), bool)
    region[2:6, 2:6] = True
    raw["rgb"][:, ~region] = 100
    calibration = calibrated(raw, [region] * 3, sigma=0, image_rate=0.3, pixel_rate=0.3)
    assert calibration.maps["rgb"].mean < 1
    maps = branch_maps({"rgb": raw["rgb"][0]}, calibration.maps, 0, region)["rgb"]
    assert np.allclose(maps[~region], calibration.maps["rgb"].floor)
    new = np.where(region, raw["rgb"][0] + 7, -50).astype(np.float32)  # calmer outside than any good pixel inside
    maps = branch_maps({"rgb": new}, calibration.maps, 0, region)["rgb"]
    assert np.allclose(maps[~region], calibration.maps["rgb"].floor)
    z = (new[region] - calibration.maps["rgb"].mean) / calibration.maps["rgb"].std
    np.testing.assert_allclose(maps[region], z, rtol=1e-5)


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


def test_too_few_parts_say_what_they_can_promise() -> None:
    threshold = conformal_threshold(np.arange(12.0), 0.05)
    assert threshold.value == 11
    assert not threshold.attained
    assert threshold.guaranteed_rate == pytest.approx(1 / 13)


def test_the_pixel_risk_is_controlled() -> None:
    rng = np.random.default_rng(1)
    share = []
    for _ in range(300):
        maps = [rng.normal(rng.normal(), 1, 400) for _ in range(30)]
        threshold = conformal_pixel_threshold(maps, 0.1)
        share.append((rng.normal(rng.normal(), 1, 4000) > threshold.value).mean())
    assert threshold.guaranteed_rate == 0.1
    assert 0.05 < np.mean(share) <= 0.105
    few = conformal_pixel_threshold(maps[:5], 0.01)
    assert few.value == max(m.max() for m in maps[:5])
    assert not few.attained


def test_p_values_count_good_parts_at_least_as_anomalous() -> None:
    raw = {"rgb": np.random.default_rng(0).normal(size=(9, 4, 4)).astype(np.float32)}
    calibration = calibrated(raw, [None] * 9, sigma=0, image_rate=0.1, pixel_rate=0.1)
    assert calibration.p_value(1e9) == pytest.approx(0.1)
    assert calibration.p_value(-1e9) == 1
    assert calibration.p_value(calibration.good_scores[4]) == pytest.approx(0.6)
