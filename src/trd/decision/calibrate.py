"""Raw maps of good parts -> calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trd.config import ScoringConfig
from trd.decision.calibration import (
    Calibration,
    MapStatistics,
    Threshold,
    conformal_pixel_threshold,
    conformal_threshold,
)
from trd.decision.maps import Map, Region, all_scored_pixels, branch_maps, fused_map
from trd.errors import TRDError
from trd.types import PrecisionName


def calibrate(
    raw: Mapping[str, NDArray[np.float32]],
    regions: Sequence[Region],
    scoring: ScoringConfig,
    precision: PrecisionName | Literal[""] = "",
) -> Calibration:
    """raw: branch -> (N, h, w) raw maps of N good parts. regions: N of scored pixels. precision: the engine's.

    Raises TRDError for maps that are not finite.
    """
    statistics = {name: map_statistics(maps, regions) for name, maps in raw.items()}
    smoothed = [
        branch_maps({name: maps[index] for name, maps in raw.items()}, statistics, scoring.sigma, region)
        for index, region in enumerate(regions)
    ]
    unscaled = Calibration(
        maps=statistics,
        sigma=scoring.sigma,
        good_scores=(),
        image_threshold=Threshold(0.0, 0.0, 1.0, 1),
        pixel_threshold=Threshold(0.0, 0.0, 1.0, 1),
        kind=scoring.calibration,
        precision=precision,
        fusion=scoring.fusion,
    )
    if scoring.fusion == "norm":
        levels = {name: branch_level([maps[name] for maps in smoothed], regions) for name in raw}
        scaled = replace(unscaled, levels=levels)
    else:
        fused = np.stack([fused_map(maps, scoring.fusion) for maps in smoothed])
        scaled = replace(unscaled, fused=map_statistics(fused, regions))
    maps = [fused_map(scaled.standardised(maps), scoring.fusion) for maps in smoothed]
    scores = np.sort(np.array([values.max() for values in maps], np.float64))
    return replace(
        scaled,
        good_scores=tuple(scores.tolist()),
        image_threshold=conformal_threshold(scores, scoring.false_alarm_rate),
        pixel_threshold=conformal_pixel_threshold(all_scored_pixels(maps, regions), scoring.pixel_false_alarm_rate),
    )


def branch_level(maps: Sequence[Map], regions: Sequence[Region]) -> MapStatistics:
    """Of one branch's smoothed z-scores of good parts: their median, and how far above it lies, on average over the
    parts, a part's greatest one. Means of maxima: few parts have no tail from which a quantile could be read."""
    pixels = all_scored_pixels(maps, regions)
    median = float(np.median(np.concatenate(pixels)))
    height = float(np.mean([values.max() for values in maps])) - median
    return MapStatistics(median, height if height > 0 else 1.0, float(min(values.min() for values in pixels)))


def map_statistics(maps: NDArray[np.float32], regions: Sequence[Region]) -> MapStatistics:
    """Over the scored pixels of (N, h, w) maps of good parts."""
    if not np.isfinite(maps).all():
        raise TRDError("the anomaly maps of good parts are not finite: training diverged; lower training.learning_rate")
    values = np.concatenate(all_scored_pixels(list(maps), regions)).astype(np.float64)
    std = float(values.std())
    return MapStatistics(float(values.mean()), std if std > 0 else 1.0, float(values.min()))
