import numpy as np
import pytest
import torch

from trd.methods.trd.maps.anomaly_map import anomaly_map, smooth
from trd.decision.calibration import (
    Calibration,
    calibrate,
    conformal_pixel_threshold,
    conformal_threshold,
    map_statistics,
)
from trd.decision.maps import fuse, modality_maps, smooth_maps


def calibrated(raw: dict[str, np.ndarray], regions: list, sigma: float, image_rate: float, pixel_rate: float):
    statistics = {name: map_statistics(maps, regions) for name, maps in raw.items()}
    whole = None if regions[0] is None else torch.from_numpy(np.stack(regions))
    fused = fuse(modality_maps({n: torch.from_numpy(m) for n, m in raw.items()}, statistics, sigma, whole))
    return calibrate(statistics, fused.numpy(), regions, sigma, image_rate, pixel_rate)


@pytest.mark.parametrize(
    ("shape", "sigma"), [((2, 64, 64), 4.0), ((1, 32, 96), 1.5), ((3, 16, 16), 6.0), ((1, 8, 8), 0.0)]
)
def test_smoothing_by_matrices_is_the_published_filter(shape: tuple[int, int, int], sigma: float) -> None:
    maps = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(smooth_maps(torch.from_numpy(maps), sigma).numpy(), smooth(maps, sigma), atol=2e-6)


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
    fused = fuse(modality_maps({n: torch.from_numpy(m) for n, m in test.items()}, calibration.maps, calibration.sigma))
    np.testing.assert_allclose(fused.numpy(), smooth(z.astype(np.float32), 1.5), atol=1e-5)
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_pixels_outside_the_region_count_as_the_least_anomalous() -> None:
    raw = {"rgb": np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)}
    region = np.zeros((8, 8), bool)
    region[2:6, 2:6] = True
    raw["rgb"][:, ~region] = 100
    calibration = calibrated(raw, [region] * 3, sigma=0, image_rate=0.3, pixel_rate=0.3)
    assert calibration.maps["rgb"].mean < 1
    first = {"rgb": torch.from_numpy(raw["rgb"][:1])}
    maps = modality_maps(first, calibration.maps, 0, torch.from_numpy(region))["rgb"][0].numpy()
    assert np.allclose(maps[~region], calibration.maps["rgb"].floor)
    assert maps[region].min() >= calibration.maps["rgb"].floor - 1e-5


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
