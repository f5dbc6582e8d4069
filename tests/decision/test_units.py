"""Units without each part, against a fit on the others."""

import numpy as np
import pytest

from trd.config import ScoringConfig
from trd.decision.calibrate import calibrate
from trd.decision.maps import Region, decide
from trd.decision.units import GoodMaps, units_without_each

Maps = dict[str, np.ndarray]
SHAPE = (14, 17)


def good_parts(count: int, with_regions: bool, seed: int = 0) -> tuple[Maps, list[Region]]:
    rng = np.random.default_rng(seed)
    raw = {name: rng.gamma(2, 3, (count, *SHAPE)).astype(np.float32) + 40 for name in ("rgb", "xyz", "edges")}
    regions = [rng.random(SHAPE) > 0.3 if with_regions else None for _ in range(count)]
    return raw, regions


@pytest.mark.parametrize("fusion", ["sum", "norm"])
@pytest.mark.parametrize("sigma", [0.0, 1.5])
@pytest.mark.parametrize("with_regions", [False, True])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_units_without_a_part_are_those_of_the_others(
    count: int, with_regions: bool, sigma: float, fusion: str
) -> None:
    """The others' are fitted on their maps alone. The part with the least pixel of a branch is among those left out."""
    raw, regions = good_parts(count, with_regions)
    *without, _ = units_without_each(GoodMaps(raw, regions, sigma), fusion)
    for index, units in enumerate(without):
        others = [other for other in range(count) if other != index]
        their = {name: maps[others] for name, maps in raw.items()}
        *_, expected = units_without_each(GoodMaps(their, [regions[other] for other in others], sigma), fusion)
        for name, numbers in expected.items():
            for key, value in vars(numbers).items():
                assert getattr(units[name], key) == pytest.approx(value, rel=2e-6), (name, key)


def test_the_units_of_one_part_alone_are_its_own() -> None:
    raw, regions = good_parts(1, True)
    alone, whole = units_without_each(GoodMaps(raw, regions, 1.0), "norm")
    assert alone == whole


@pytest.mark.parametrize("fusion", ["sum", "norm"])
def test_good_scores_and_pixels_are_in_the_units_of_the_others(fusion: str) -> None:
    raw, regions = good_parts(5, True)
    scoring = ScoringConfig(sigma=1.5, fusion=fusion, false_alarm_rate=0.1, pixel_false_alarm_rate=0.01)
    calibration = calibrate(raw, regions, scoring)
    scores, highest = [], []
    for index in range(5):
        others = [other for other in range(5) if other != index]
        of_others = calibrate({n: m[others] for n, m in raw.items()}, [regions[other] for other in others], scoring)
        part = decide(of_others, {n: m[index] for n, m in raw.items()}, regions[index])
        scores.append(float(part.score))
        highest.append(float(part.fused[regions[index]].max()))
    np.testing.assert_allclose(calibration.good_scores, sorted(scores), rtol=1e-5)
    assert calibration.pixel_threshold.value == pytest.approx(max(highest), rel=1e-5)


@pytest.mark.parametrize("fusion", ["sum", "norm"])
def test_a_branch_in_which_only_one_part_differs(fusion: str) -> None:
    """The others have no deviation: without that part the branch is left as it is."""
    raw, regions = good_parts(4, False)
    raw["xyz"][:] = 0.1
    raw["xyz"][2, 3, 4] = 0.9
    *without, _ = units_without_each(GoodMaps(raw, regions, 0.0), fusion)
    assert without[2]["xyz"].std == 1
    assert without[1]["xyz"].std < 0.1
    assert np.isfinite(
        [value for units in without for numbers in units.values() for value in vars(numbers).values()]
    ).all()
