"""From maps to decisions: z-scores and fusion as published, and thresholds with a stated guarantee (ours).

All numbers come from good parts that the student was not trained on (the validation split).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trd.errors import TRDError


@dataclass(frozen=True)
class MapStatistics:
    """Mean and population standard deviation over all scored pixels of the good parts' maps, and their minimum."""

    mean: float
    std: float
    minimum: float

    @property
    def floor(self) -> float:
        """z-score of the least anomalous good pixel: what pixels outside the scored region count as."""
        return (self.minimum - self.mean) / self.std


@dataclass(frozen=True)
class Threshold:
    """An operating threshold for a requested false-alarm rate, from `count` good parts.

    Scores strictly above `value` are alarms. guaranteed_rate: the false-alarm rate that holds for a further good part
    drawn like the calibration parts, averaged over calibration sets; it exceeds `requested_rate` where `count` is too
    small, because n parts cannot promise less than 1 / (n + 1).
    """

    value: float
    requested_rate: float
    guaranteed_rate: float
    count: int

    @property
    def attained(self) -> bool:
        return self.guaranteed_rate <= self.requested_rate


@dataclass(frozen=True)
class Calibration:
    """Everything that turns raw maps into scores and decisions; JSON in and out.

    maps: per modality. good_scores: image scores of the good calibration parts, ascending. image_threshold: for
    decisions. pixel_threshold: for the map; the rate is the share of a good part's scored pixels above it.
    """

    maps: Mapping[str, MapStatistics]
    sigma: float
    good_scores: tuple[float, ...]
    image_threshold: Threshold
    pixel_threshold: Threshold

    def p_value(self, score: float) -> float:
        """Share of good parts (with this one) at least as anomalous: (1 + #{good >= score}) / (n + 1)."""
        return (1 + sum(good >= score for good in self.good_scores)) / (len(self.good_scores) + 1)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Calibration:
        return cls(
            maps={name: MapStatistics(**numbers) for name, numbers in values["maps"].items()},
            sigma=values["sigma"],
            good_scores=tuple(values["good_scores"]),
            image_threshold=Threshold(**values["image_threshold"]),
            pixel_threshold=Threshold(**values["pixel_threshold"]),
        )


def map_statistics(maps: NDArray[np.float32], regions: Sequence[NDArray[np.bool_] | None]) -> MapStatistics:
    """Over the scored pixels of (N, H, W) maps of good parts."""
    if not np.isfinite(maps).all():
        raise TRDError("the anomaly maps of good parts are not finite: training diverged; lower training.learning_rate")
    values = np.concatenate(
        [m.ravel() if region is None else m[region] for m, region in zip(maps, regions, strict=True)]
    ).astype(np.float64)
    std = float(values.std())
    return MapStatistics(float(values.mean()), std if std > 0 else 1.0, float(values.min()))


def calibrate(
    statistics: Mapping[str, MapStatistics],
    fused: NDArray[np.float32],
    regions: Sequence[NDArray[np.bool_] | None],
    sigma: float,
    image_rate: float,
    pixel_rate: float,
) -> Calibration:
    """Calibration from the smoothed fused maps (N, H, W) of N good parts; N regions of scored pixels, None for all."""
    scores = np.sort(fused.max(axis=(1, 2)).astype(np.float64))
    scored = [m.ravel() if region is None else m[region] for m, region in zip(fused, regions, strict=True)]
    return Calibration(
        maps=statistics,
        sigma=sigma,
        good_scores=tuple(scores.tolist()),
        image_threshold=conformal_threshold(scores, image_rate),
        pixel_threshold=conformal_pixel_threshold(scored, pixel_rate),
    )


def conformal_threshold(good_scores: NDArray[np.float64], rate: float) -> Threshold:
    """Split-conformal threshold (Vovk et al. 2005): the ceil((n + 1)(1 - rate))-th smallest of n good scores.

    A further good part scores above it with probability at most `rate` when it is exchangeable with the n parts. With
    n < 1 / rate - 1 that rank does not exist; then the largest score is used, which guarantees 1 / (n + 1) only.
    """
    count = len(good_scores)
    rank = min(math.ceil((count + 1) * (1 - rate) - 1e-9), count)
    value = float(np.sort(good_scores)[rank - 1])
    return Threshold(value, rate, (count + 1 - rank) / (count + 1), count)


def conformal_pixel_threshold(good_maps: Sequence[NDArray[np.float32]], rate: float) -> Threshold:
    """Conformal risk control (Angelopoulos et al. 2022) of the share of a good part's pixels above the threshold.

    good_maps: the scored pixels of each good part, 1-D. The least value v with (n R(v) + 1) / (n + 1) <= rate, R(v)
    being the mean share above v: the expected share on a further good part is then at most `rate`. Where n < 1 / rate
    - 1 allows no such v, the largest pixel seen is used, which guarantees 1 / (n + 1).
    """
    count = len(good_maps)
    budget = (rate * (count + 1) - 1) / count
    pixels = np.concatenate(good_maps)
    weights = np.concatenate([np.full(len(m), 1 / (len(m) * count)) for m in good_maps])
    order = np.argsort(-pixels, kind="stable")
    ordered, share = pixels[order], np.cumsum(weights[order])
    if budget < 0:
        return Threshold(float(ordered[0]), rate, 1 / (count + 1), count)
    # Scores equal to the value are not alarms, so the first pixel that would break the budget is the threshold.
    index = min(int(np.searchsorted(share, budget + 1e-12, side="right")), len(ordered) - 1)
    return Threshold(float(ordered[index]), rate, rate, count)
