"""AUROC, AP, F1max and exact AUPRO at every limit, from ONE sort of the scores.

Every pixel becomes a 64-bit key, its score's bits (made order-preserving) above its region number (0 = good pixel).
One sort of the keys puts pixels in score order with their region beside them; every curve is then a running sum, with
one point per distinct score, so equal scores count together and no threshold grid is involved.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

AUPRO_LIMITS = (0.30, 0.10, 0.05, 0.01)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Running sums down the distinct scores, highest first; each array is (T,) float64.

    threshold: the score. true_positives, false_positives: pixels (or images) at or above it. overlap: per-region
    overlap there, averaged over regions, 0 to 1; empty for images.
    """

    threshold: Floats
    true_positives: Floats
    false_positives: Floats
    overlap: Floats

    @property
    def true_positive_rate(self) -> Floats:
        return np.asarray(self.true_positives / max(self.true_positives[-1], 1.0))

    @property
    def false_positive_rate(self) -> Floats:
        return np.asarray(self.false_positives / max(self.false_positives[-1], 1.0))

    def auroc(self) -> float:
        """Area under the ROC curve; nan without both kinds."""
        if not (self.true_positives[-1] and self.false_positives[-1]):
            return float("nan")
        return _area(_from_zero(self.false_positive_rate), _from_zero(self.true_positive_rate))

    def average_precision(self) -> float:
        """Sum of precision times the rise in recall; nan without positives."""
        if not self.true_positives[-1]:
            return float("nan")
        precision = self.true_positives / (self.true_positives + self.false_positives)
        return float((precision * np.diff(self.true_positive_rate, prepend=0)).sum())

    def f1max(self) -> float:
        """Best F1 over all thresholds; nan without positives."""
        if not self.true_positives[-1]:
            return float("nan")
        found = self.true_positives + self.false_positives
        return float((2 * self.true_positives / (found + self.true_positives[-1])).max())

    def aupro(self, limit: float, thresholds: int | None = None) -> float:
        """Area under overlap over false positive rate up to `limit`, divided by `limit`; nan without both kinds.

        thresholds: None for the whole curve, or the papers' number of samples of it (`sampled_pro`).
        """
        if not (self.overlap.size and self.true_positives[-1] and self.false_positives[-1]):
            return float("nan")
        rate, overlap = self.pro() if thresholds is None else self.sampled_pro(thresholds)
        return _area(rate, overlap, limit) / limit

    def sampled_pro(self, thresholds: int) -> tuple[Floats, Floats]:
        """The curve at `thresholds` good pixels, evenly by rank, as the published numbers sample it; ends at (1, 1).

        Kept for comparison with published tables: at small limits the grid is coarse. Good pixels of equal score are
        counted one after another, as there.
        """
        good = int(self.false_positives[-1])
        above = good - 1 - np.linspace(0, good - 1, thresholds).astype(int)[::-1]  # good pixels ranked before
        score = np.searchsorted(self.false_positives, above, side="right")
        return np.append(above / good, 1.0), np.append(_from_zero(self.overlap)[score], 1.0)

    def pro(self) -> tuple[Floats, Floats]:
        """False positive rate and overlap, one point per good pixel (those of equal score share two), ending at (1, 1).

        The overlap at a good pixel counts defect pixels strictly above it: one that merely ties with good pixels is
        found after all of them. Without ties this is the plain curve; with ties it is the cautious reading, and the
        one that the published evaluation converges to when every good pixel's score is a threshold.
        """
        good = self.false_positives[-1]
        found = _from_zero(self.false_positives)
        holds_good = found[1:] > found[:-1]
        start, end = found[:-1][holds_good], found[1:][holds_good] - 1
        above = _from_zero(self.overlap)[:-1][holds_good]
        rate = np.append(np.stack([start, end], axis=1).ravel() / good, 1.0)
        return rate, np.append(np.repeat(above, 2), 1.0)


def region_labels(masks: NDArray[np.bool_]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """8-connected defect regions of (N, H, W) masks: labels (0 = good, then 1.. over all masks) and sizes per label."""
    labels = np.zeros(masks.shape, np.uint32)
    count = 0
    for label, mask in zip(labels, masks, strict=True):
        found, components = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        label[mask] = components[mask].astype(np.uint32) + np.uint32(count)
        count += found - 1
    return labels, np.bincount(labels.ravel(), minlength=count + 1)


def pixel_curves(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> Curves:
    """Curves over all pixels of (N, H, W) float32 maps and bool masks. Raises ValueError on shape mismatch or NaN."""
    if maps.shape != masks.shape:
        raise ValueError(f"maps are {maps.shape}, masks {masks.shape}")
    labels, sizes = region_labels(np.asarray(masks, bool))
    return _curves(np.asarray(maps, np.float32).ravel(), labels.ravel(), sizes)


def image_curves(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> Curves:
    """Curves over (N,) image scores, labels True for defective."""
    if scores.shape != labels.shape:
        raise ValueError(f"scores are {scores.shape}, labels {labels.shape}")
    flags = np.asarray(labels).astype(np.uint32)
    curves = _curves(np.asarray(scores, np.float32), flags, np.bincount(flags, minlength=2))
    return Curves(curves.threshold, curves.true_positives, curves.false_positives, np.empty(0))


def _curves(scores: NDArray[np.float32], regions: NDArray[np.uint32], sizes: NDArray[np.int64]) -> Curves:
    if np.isnan(scores).any():
        raise ValueError("scores contain NaN")
    keys = _descending_bits(scores).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= regions
    keys.sort()
    regions = (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    bits = (keys >> np.uint64(32)).astype(np.uint32)
    del keys
    last = np.flatnonzero(np.append(bits[1:] != bits[:-1], True))  # the last pixel of every distinct score
    positives = np.cumsum(regions > 0)[last]
    # a defect pixel adds its share of its region, and every region weighs the same
    share = np.zeros(len(sizes))
    share[1:] = 1 / (np.maximum(sizes[1:], 1) * max(len(sizes) - 1, 1))
    overlap = np.cumsum(share[regions])[last]
    return Curves(
        threshold=_scores_of(bits[last]).astype(np.float64),
        true_positives=positives.astype(np.float64),
        false_positives=(last + 1 - positives).astype(np.float64),
        overlap=overlap,
    )


def _descending_bits(scores: NDArray[np.float32]) -> NDArray[np.uint32]:
    """uint32 that sorts ascending as the scores sort descending; -0.0 counts as 0.0."""
    bits = (scores + np.float32(0)).view(np.uint32)
    ascending = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(0x80000000))
    return ~ascending


def _scores_of(bits: NDArray[np.uint32]) -> NDArray[np.float32]:
    ascending = ~bits
    return np.where(ascending >> np.uint32(31), ascending & np.uint32(0x7FFFFFFF), ~ascending).view(np.float32)


def _from_zero(values: Floats) -> Floats:
    return np.concatenate([[0.0], values])


def _area(x: Floats, y: Floats, limit: float = 1.0) -> float:
    """Trapezoid area of y over ascending x in [0, limit], y interpolated linearly at the limit."""
    inside = int(np.searchsorted(x, limit, side="right"))
    x_in, y_in = x[:inside], y[:inside]
    area = float(np.trapezoid(y_in, x_in))
    if inside < len(x) and x_in[-1] < limit:
        at_limit = np.interp(limit, x[inside - 1 : inside + 1], y[inside - 1 : inside + 1])
        area += float((limit - x_in[-1]) * (y_in[-1] + at_limit) / 2)
    return area


def evaluate_maps(
    maps: NDArray[np.float32],
    masks: NDArray[np.bool_],
    image_scores: NDArray[np.float32] | None = None,
    aupro_thresholds: int | None = None,
    labels: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """All metrics of (N, H, W) maps against bool masks; keys as in `metrics.json`.

    image_scores: (N,), the maximum of each map by default. labels: (N,) True for defective images; by default those
    whose mask is not empty (a tiny mask can vanish when it is resized). aupro_thresholds: None for the exact AUPRO,
    100 for the papers' sampled variant.
    """
    scores = maps.max(axis=(1, 2)) if image_scores is None else np.asarray(image_scores, np.float32)
    defective = np.asarray(masks.any(axis=(1, 2)) if labels is None else labels)
    pixels = pixel_curves(maps, masks)
    return image_metrics(image_curves(scores, defective)) | pixel_metrics(pixels, aupro_thresholds)


def image_metrics(curves: Curves) -> dict[str, float]:
    return {"image_auroc": curves.auroc(), "image_ap": curves.average_precision(), "image_f1max": curves.f1max()}


def pixel_metrics(curves: Curves, aupro_thresholds: int | None = None) -> dict[str, float]:
    return {
        "pixel_auroc": curves.auroc(),
        "pixel_ap": curves.average_precision(),
        "pixel_f1max": curves.f1max(),
        **aupro_metrics(curves, aupro_thresholds),
    }


def aupro_metrics(curves: Curves, thresholds: int | None = None) -> dict[str, float]:
    """AUPRO at every limit; `thresholds` as in `Curves.aupro`."""
    return {aupro_key(limit): curves.aupro(limit, thresholds) for limit in AUPRO_LIMITS}


def aupro_key(limit: float) -> str:
    return f"aupro_{round(100 * limit)}"
