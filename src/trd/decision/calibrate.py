"""Raw maps of good parts -> calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trd.config import ScoringConfig
from trd.decision.calibration import Calibration, MapStatistics, conformal_pixel_threshold, conformal_threshold
from trd.decision.maps import Region, all_scored_pixels, branch_maps, summed
from trd.errors import TRDError


def calibrate(
    raw: Mapping[str, NDArray[np.float32]],
    regions: Sequence[Region],
    scoring: ScoringConfig,
    precision: str = "",
) -> Calibration:
    """raw: branch -> (N, h, w) raw maps of N good parts. regions: N of scored pixels. precision: the engine's.

    Raises TRDError for maps that are not finite.
    """
    statistics = {name: map_statistics(maps, regions) for name, maps in raw.items()}
    fused = np.stack(
        [
            summed(branch_maps({name: maps[index] for name, maps in raw.items()}, statistics, scoring.sigma, region))
            for index, region in enumerate(regions)
        ]
    )
    of_sum = map_statistics(fused, regions)
    standardised = (fused - np.float32(of_sum.mean)) / np.float32(of_sum.std)
    scores = np.sort(standardised.max(axis=(1, 2)).astype(np.float64))
    return Calibration(
        maps=statistics,
        sigma=scoring.sigma,
        good_scores=tuple(scores.tolist()),
        image_threshold=conformal_threshold(scores, scoring.false_alarm_rate),
        pixel_threshold=conformal_pixel_threshold(
            all_scored_pixels(list(standardised), regions), scoring.pixel_false_alarm_rate
        ),
        fused=of_sum,
        kind=scoring.calibration,
        precision=precision,  # type: ignore[arg-type]  # one of the words that engines use
    )


def map_statistics(maps: NDArray[np.float32], regions: Sequence[Region]) -> MapStatistics:
    """Over the scored pixels of (N, h, w) maps of good parts."""
    if not np.isfinite(maps).all():
        raise TRDError("the anomaly maps of good parts are not finite: training diverged; lower training.learning_rate")
    values = np.concatenate(all_scored_pixels(list(maps), regions)).astype(np.float64)
    std = float(values.std())
    return MapStatistics(float(values.mean()), std if std > 0 else 1.0, float(values.min()))
