"""Pixel metrics of resampled parts (`trd.statistics.resampling`) without their maps.

Shapes: N parts, R resamples, T thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trd.evaluation.curves import region_labels
from trd.statistics.resampling import Counts

GRID = 200  # thresholds of a pixel profile
FINEST = 1e-5  # false positive rate of the highest but one
SAMPLED = 1 << 22  # good pixels from which the thresholds are taken

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PixelProfile:
    """How each part's pixels pass the same T descending thresholds: enough to resample pixel metrics without maps.

    good, defective: (N, T) pixels at or above each. overlap: (N, T) sum over the part's defect regions of the share
    at or above. regions: (N,) their number. Thresholds lie dense where false positives are rare; the last is passed
    by every pixel.
    """

    good: Floats
    defective: Floats
    overlap: Floats
    regions: Floats

    def resampled(self, counts: Counts, limits: tuple[float, ...]) -> dict[str, Floats]:
        """`pixel_auroc`, and `aupro_L` for the limits, of each resample; (R,) each, good to about 0.001."""
        weights = counts.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            good, detected, overlap = weights @ self.good, weights @ self.defective, weights @ self.overlap
            rate, recall = good / good[:, -1:], detected / detected[:, -1:]
            pro = overlap / (weights @ self.regions)[:, None]
        result = {"pixel_auroc": _areas(rate, recall, 1.0)}
        return result | {f"aupro_{round(100 * limit)}": _areas(rate, pro, limit) / limit for limit in limits}


def pixel_profile(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> PixelProfile:
    """Of (N, H, W) maps and masks."""
    step = max(1, maps.size // SAMPLED)
    sampled = np.concatenate([np.asarray(m)[~k][::step] for m, k in zip(maps, masks, strict=True)])
    if not sampled.size:
        sampled = np.zeros(1, np.float32)
    rates = np.geomspace(FINEST, 1, GRID)
    thresholds = np.quantile(sampled, 1 - rates).astype(np.float32)  # descending
    highest = np.nextafter(np.float32(max(sampled.max(), np.max(maps))), np.float32(np.inf))
    above_good = np.nextafter(sampled.max(), np.float32(np.inf))
    thresholds = np.concatenate([[highest, above_good], thresholds, [np.float32(-np.inf)]]).astype(np.float32)
    good, defective, overlap, regions = [], [], [], []
    for values, mask in zip(maps, masks, strict=True):
        scores = np.asarray(values)
        labels, sizes = region_labels(np.asarray(mask)[None])
        good.append(_passed(scores[~mask], thresholds))
        defective.append(_passed(scores[mask], thresholds))
        shares = [_passed(scores[labels[0] == label], thresholds) / sizes[label] for label in range(1, len(sizes))]
        overlap.append(np.sum(shares, axis=0) if shares else np.zeros(len(thresholds)))
        regions.append(float(len(sizes) - 1))
    return PixelProfile(np.array(good), np.array(defective), np.array(overlap), np.array(regions))


def _passed(values: NDArray[np.float32], thresholds: NDArray[np.float32]) -> Floats:
    """(T,) how many are at or above each."""
    ordered = np.sort(values)
    return np.asarray(len(ordered) - np.searchsorted(ordered, thresholds, side="left"), np.float64)


def _areas(x: Floats, y: Floats, limit: float) -> Floats:
    """Trapezoid areas of (R, T) curves over ascending x in [0, limit], y interpolated at the limit."""
    left, right, before, after = x[:, :-1], x[:, 1:], y[:, :-1], y[:, 1:]
    width = right - left
    inside = np.clip(limit - left, 0, width)
    slope = np.divide(after - before, width, out=np.zeros_like(width), where=width > 0)
    return np.asarray((inside * (before + slope * inside / 2)).sum(axis=1))
