"""The promise, when wrongly rejected parts are taken in: parts are made up, all else is the real code."""

from pathlib import Path

import numpy as np
import pytest

from trd.config import Recipe, load_recipe
from trd.decision.calibrate import calibrate
from trd.decision.calibration import Calibration
from trd.decision.maps import decide
from trd.engines.base import Maps, Placement
from trd.evidence.base import FitJob
from trd.evidence.detection import detector_engine, fit_evidence, grown_evidence
from trd.preprocess.parts import PreparedParts, stacked_images
from trd.types import PreparedSample, State

SIZE, TRAINING, CALIBRATION, POOL, NEW = 32, 6, 19, 40, 40


def part(random: np.random.Generator) -> PreparedSample:
    """Noise, with a spot whose strength has a heavy tail: now and then a good part is odd."""
    image = random.uniform(0.4, 0.6, (3, SIZE, SIZE)).astype(np.float32)
    row, column = random.integers(4, SIZE - 12, size=2)
    image[:, row : row + 8, column : column + 8] += np.float32(0.03 * random.standard_t(3))
    return PreparedSample("", "good", {"rgb": image.clip(0, 1)}, None, None, (SIZE, SIZE))


def scored(calibration: Calibration, raw: Maps) -> np.ndarray:
    count = len(next(iter(raw.values())))
    return np.array(
        [float(decide(calibration, {name: maps[i] for name, maps in raw.items()}, None).score) for i in range(count)]
    )


def excess_alarms(recipe: Recipe, seed: int) -> tuple[float, float]:
    """Of one draw: share of new good parts above the threshold, less what it promises, where rejected parts of a pool
    entered the evidence, and where they calibrate too."""
    random = np.random.default_rng(seed)
    counts = {"training": TRAINING, "calibration": CALIBRATION, "pool": POOL, "new": NEW}
    parts = {name: [part(random) for _ in range(count)] for name, count in counts.items()}
    prepared = {name: PreparedParts(len(some), some.__getitem__) for name, some in parts.items()}
    job = FitJob(recipe, "parts", prepared["training"], prepared["calibration"], Path("unused"), "cpu")

    def maps(state: State, name: str) -> Maps:
        return detector_engine(recipe, state, (SIZE, SIZE), Placement("cpu")).raw_maps(stacked_images(parts[name]))

    def calibrated(raw: Maps) -> Calibration:
        return calibrate(raw, [None] * len(next(iter(raw.values()))), recipe.scoring)

    state = fit_evidence(job)
    before, pool = calibrated(maps(state, "calibration")), maps(state, "pool")
    scores = scored(before, pool)
    rejected = np.flatnonzero(scores >= min(before.image_threshold.value, scores.max()))
    grown = grown_evidence(job, state, prepared["pool"].chosen(rejected.tolist()))
    old, new = maps(grown, "calibration"), maps(grown, "new")
    biased = {name: np.concatenate([old[name], pool[name][rejected]]) for name in old}
    honest, too_high = (
        float(np.mean(scored(calibration, new) > calibration.image_threshold.value))
        - calibration.image_threshold.guaranteed_rate
        for calibration in (calibrated(old), calibrated(biased))
    )
    return honest, too_high


@pytest.mark.parametrize("repeats", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_the_promise_holds_when_rejected_parts_are_taken_in(repeats: int) -> None:
    recipe = load_recipe("patch-statistics", ("evidence.patch_statistics.components=2",)).without("xyz")
    assert recipe is not None
    excess = np.array([excess_alarms(recipe, seed) for seed in range(repeats)])
    error = excess.std(axis=0) / np.sqrt(repeats)
    assert excess[:, 0].mean() <= 2 * error[0]
    assert excess[:, 1].mean() < -error[1]  # parts that were picked for their scores would set it too high
