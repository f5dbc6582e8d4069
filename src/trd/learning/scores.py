"""Scores of calibration parts and of others by one detector: how far apart they lie, and at which rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe, ScoringConfig
from trd.decision.calibration import Calibration
from trd.statistics.resampling import resampled_auroc

TINY = 1e-12

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """good: (N,) of the calibration parts, each in units of the others. asked: (D,) of other parts. threshold: of
    these scores."""

    good: Floats
    asked: Floats
    threshold: float

    @property
    def above(self) -> NDArray[np.bool_]:
        """(D,) whether what was asked is above the threshold."""
        return np.asarray(self.asked > self.threshold)

    def of(self, indices: Sequence[int]) -> Scores:
        """Of some of what was asked."""
        return replace(self, asked=self.asked[list(indices)])

    def places(self, counts: NDArray[np.int32] | None = None) -> Floats:
        """(R, D): what was asked, in deviations of the good parts from their mean, for R draws of them, (R, N); for
        all of them, (1, D), by default."""
        drawn = np.ones((1, len(self.good)), np.int32) if counts is None else counts
        number = drawn.sum(axis=1, keepdims=True)
        mean = (drawn * self.good).sum(axis=1, keepdims=True) / number
        variance = (drawn * np.square(self.good - mean)).sum(axis=1, keepdims=True) / number
        return np.asarray((self.asked - mean) / np.sqrt(np.maximum(variance, TINY)))

    def auroc(self, counts: NDArray[np.int32] | None = None) -> Floats:
        """(R,): of what was asked against the good parts, for R draws of both, (R, N + D); of all, (1,), by default."""
        every = np.concatenate([self.good, self.asked])
        drawn = np.ones((1, len(every)), np.int32) if counts is None else counts
        return resampled_auroc(every, np.arange(len(every)) >= len(self.good), drawn)


def good_scores(calibration: Calibration, ids: Sequence[str]) -> Floats:
    """Of the calibration parts with these ids, in their order."""
    scores = dict(zip(calibration.good_parts, calibration.good_scores, strict=True))
    return np.array([scores[name] for name in ids])


def scoring_at_rates(recipe: Recipe, before: Calibration) -> ScoringConfig:
    """The recipe's scoring, at the false-alarm rates that a detector has now."""
    rates = {
        "false_alarm_rate": before.image_threshold.requested_rate,
        "pixel_false_alarm_rate": before.pixel_threshold.requested_rate,
    }
    return recipe.scoring.model_copy(update=rates)
