"""The false-alarm rate of new good parts through `calibrate` and the decision, averaged over calibration sets."""

from collections.abc import Iterator

import numpy as np
import pytest

from trd.config import ScoringConfig
from trd.decision.calibrate import calibrate
from trd.decision.maps import decide

SIDE, NEW = 16, 100
SIGMA = 1.0
RATES = {9: 0.1, 19: 0.05, 40: 0.05}  # parts -> requested


def drawn(rng: np.random.Generator, count: int, branches: int, tail: str) -> dict[str, np.ndarray]:
    """(count, SIDE, SIDE) maps of each branch. Parts differ in strength.

    light: normal. heavy: Student's t of 3. spikes: one place as high as a Pareto variable of 1.5, without variance.
    """
    shape, maps = (count, SIDE, SIDE), {}
    for number in range(branches):
        strength = rng.gamma(8, 1 / 8, (count, 1, 1))
        values = strength * (rng.normal(size=shape) if tail != "heavy" else rng.standard_t(3, size=shape))
        if tail == "spikes":
            row, column = rng.integers(SIDE, size=(2, count))
            values[np.arange(count), row, column] += 5 * rng.pareto(1.5, count)
        maps[f"branch-{number}"] = (rng.uniform(0.5, 2) * values + 3).astype(np.float32)
    return maps


def false_alarms(count: int, branches: int, tail: str, fusion: str, repeats: int, seed: int = 0) -> Iterator[float]:
    """Of each calibration set: the share of new parts above its threshold, less what it promises."""
    rng = np.random.default_rng(seed)
    scoring = ScoringConfig(sigma=SIGMA, fusion=fusion, false_alarm_rate=RATES[count], pixel_false_alarm_rate=0.1)
    for _ in range(repeats):
        maps = drawn(rng, count + NEW, branches, tail)
        calibration = calibrate({name: m[:count] for name, m in maps.items()}, [None] * count, scoring)
        scores = decide(calibration, {name: m[count:] for name, m in maps.items()}, None).score
        threshold = calibration.image_threshold
        yield float((scores > threshold.value).mean()) - threshold.guaranteed_rate


def refuse_too_many(excess: np.ndarray, errors: float) -> None:
    """On average at most so many standard errors above the promise."""
    assert excess.mean() <= errors * excess.std() / np.sqrt(len(excess))


@pytest.mark.parametrize(
    ("count", "branches", "tail", "fusion"),
    [(9, 4, "heavy", "norm"), (19, 2, "heavy", "sum")],
)
def test_the_promised_rate_holds(count: int, branches: int, tail: str, fusion: str) -> None:
    refuse_too_many(np.array(list(false_alarms(count, branches, tail, fusion, 200))), 2)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["sum", "norm"])
@pytest.mark.parametrize("tail", ["light", "heavy", "spikes"])
@pytest.mark.parametrize("branches", [1, 4, 8])
@pytest.mark.parametrize("count", list(RATES))
def test_the_promised_rate_holds_everywhere(count: int, branches: int, tail: str, fusion: str) -> None:
    """Of 54 rates that are near the promise, one or two are two standard errors above it by chance."""
    refuse_too_many(np.array(list(false_alarms(count, branches, tail, fusion, 300))), 3)
