import json

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from trd.config import ScoringConfig
from trd.decision.calibrate import calibrate
from trd.decision.calibration import Calibration
from trd.decision.maps import decide, smooth
from trd.evidence.reverse_distillation.maps.cosine import anomaly_map


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
    good = smooth(z_scored(raw, raw), 1.5)
    test = {name: rng.normal(size=(2, 16, 16)).astype(np.float32) for name in raw}
    decision = decide(calibration, test, None)
    published = smooth(z_scored(test, raw), 1.5)
    np.testing.assert_allclose(decision.fused, (published - good.mean()) / good.std(), atol=1e-5)
    np.testing.assert_allclose(decision.fused, sum(decision.maps.values()), atol=1e-6)
    np.testing.assert_allclose(decision.score, decision.fused.max(axis=(1, 2)))
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


def z_scored(maps: dict[str, np.ndarray], good: dict[str, np.ndarray]) -> np.ndarray:
    return sum((maps[n] - good[n].astype(float).mean()) / good[n].astype(float).std() for n in maps).astype(np.float32)


def test_a_score_is_in_standard_deviations_of_good_parts() -> None:
    """Of the fused map over their scored pixels, whatever the branches' correlation and the smoothing do."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(6, 32, 32))
    raw = {name: (shared + 0.3 * rng.normal(size=shared.shape)).astype(np.float32) for name in ("rgb", "xyz")}
    calibration = calibrated(raw, [None] * 6, sigma=2, image_rate=0.2, pixel_rate=0.05)
    fused = decide(calibration, raw, None).fused
    assert np.mean(fused) == pytest.approx(0, abs=1e-4)
    assert np.std(fused) == pytest.approx(1, abs=1e-4)
    lowest = {n: np.full((32, 32), numbers.minimum, np.float32) for n, numbers in calibration.maps.items()}
    floor = decide(calibration, lowest, None).fused
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
        (("maps", "rgb", "scale"), 0.0),
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
    units = calibration.maps["rgb"]
    new = np.where(region, raw["rgb"][0] + 7, -50).astype(np.float32)  # calmer outside than any good pixel inside
    for values in (raw["rgb"][0], new):
        maps = decide(calibration, {"rgb": values}, region).maps["rgb"]
        assert np.allclose(maps[~region], units.floor)
        np.testing.assert_allclose(maps[region], (values[region] - units.shift) / units.scale, rtol=1e-5)


def test_p_values_count_good_parts_at_least_as_anomalous() -> None:
    raw = {"rgb": np.random.default_rng(0).normal(size=(9, 4, 4)).astype(np.float32)}
    calibration = calibrated(raw, [None] * 9, sigma=0, image_rate=0.1, pixel_rate=0.1)
    assert calibration.p_value(1e9) == pytest.approx(0.1)
    assert calibration.p_value(-1e9) == 1
    assert calibration.p_value(calibration.good_scores[4]) == pytest.approx(0.6)


def test_a_calibration_of_an_earlier_version_is_refused() -> None:
    raw = {"rgb": np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)}
    content = calibrated(raw, [None] * 3, sigma=1, image_rate=0.3, pixel_rate=0.3).to_json()
    del content["maps"]["rgb"]["shift"], content["maps"]["rgb"]["scale"]
    with pytest.raises(ValueError, match="earlier version"):
        Calibration.from_json(content)


def test_the_part_that_sets_the_threshold_is_named() -> None:
    raw = np.random.default_rng(0).normal(size=(19, 8, 8)).astype(np.float32)
    raw[4, 3, 3], raw[7, 3, 3] = 90, 60
    names = [f"good/{number:03d}" for number in range(19)]
    calibration = calibrate({"a": raw}, [None] * 19, ScoringConfig(sigma=0), names=names)
    assert calibration.good_parts[-2:] == ("good/007", "good/004")
    following = calibration.good_scores[-2]
    assert calibration.threshold_origin == (
        f"the score of one part, good/004, the strangest of 19; the next has {following:.3f}"
    )
    assert calibration.for_rate(0.1).threshold_origin == "the score of good/007, which 1 of 19 good parts exceed"
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration
    unnamed = calibrate({"a": raw}, [None] * 19, ScoringConfig(sigma=0))
    assert unnamed.threshold_origin == ""
    assert Calibration.from_json({k: v for k, v in unnamed.to_json().items() if k != "good_parts"}).id == unnamed.id
