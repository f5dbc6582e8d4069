"""AUROC, AP, F1max and exact AUPRO at every limit, from one sort of the good pixels' scores.

Every one of these numbers changes only where a defective pixel is passed. So it is enough to know, for every defective
pixel, how many good pixels score above it and how many at least as high: its two ranks among the good ones. Those are
counts, and counts over parts of the data add up: the good pixels are sorted a chunk at a time, by all cores, and maps
that do not fit into memory may be memory-mapped files.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.preprocess.threads import thread_count

AUPRO_LIMITS = (0.30, 0.10, 0.05, 0.01)
CHUNK = 1 << 21  # pixels sorted at a time and thread: 8 MB of scores, which stay near the processor

DRAWN, DRAWN_TO = 2000, 0.30  # about how many points of a PRO curve a figure gets, up to which false positive rate

Floats = NDArray[np.float64]
Line = tuple[Floats, Floats]
Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Curves:
    """One step per distinct score of a defective pixel (or image), highest first; each array is (T,) float64.

    threshold: the score. true_positives: defective ones at or above it. good_above, false_positives: good ones above
    it, and at or above it. overlap: per-region overlap at or above it, averaged over regions, 0 to 1; empty for images.
    good: number of good ones in all. Between two steps only good ones are passed, and nothing but the false positive
    rate changes.
    """

    threshold: Floats
    true_positives: Floats
    good_above: Floats
    false_positives: Floats
    overlap: Floats
    good: int

    @property
    def defective(self) -> int:
        return int(self.true_positives[-1]) if self.true_positives.size else 0

    def auroc(self) -> float:
        """Area under the ROC curve: the share of pairs in the right order, ties half; nan without both kinds."""
        if not (self.defective and self.good):
            return float("nan")
        detected = np.diff(self.true_positives, prepend=0)
        below = self.good - (self.good_above + self.false_positives) / 2
        return float((detected * below).sum() / (self.defective * self.good))

    def average_precision(self) -> float:
        """Sum of precision times the rise in recall; nan without positives."""
        if not self.defective:
            return float("nan")
        precision = self.true_positives / (self.true_positives + self.false_positives)
        return float((precision * np.diff(self.true_positives, prepend=0)).sum() / self.defective)

    def f1max(self) -> float:
        """Best F1 over all thresholds; nan without positives."""
        if not self.defective:
            return float("nan")
        above = self.true_positives + self.false_positives
        return float((2 * self.true_positives / (above + self.defective)).max())

    def roc(self) -> tuple[Floats, Floats]:
        """False and true positive rate, corner points from (0, 0) to (1, 1); a tie is a slope."""
        before = np.append(0.0, self.true_positives)[:-1]
        good = np.stack([self.good_above, self.false_positives], axis=1).ravel() / max(self.good, 1)
        detected = np.stack([before, self.true_positives], axis=1).ravel() / max(self.defective, 1)
        return np.concatenate([[0.0], good, [1.0]]), np.concatenate([[0.0], detected, [1.0]])

    def aupro(self, limit: float, thresholds: int | None = None) -> float:
        """Area under overlap over false positive rate up to `limit`, divided by `limit`; nan without both kinds.

        thresholds: None for the whole curve, or the papers' number of samples of it (`sampled_pro`).
        """
        if not (self.overlap.size and self.defective and self.good):
            return float("nan")
        rate, overlap = self.pro() if thresholds is None else self.sampled_pro(thresholds)
        return _area(rate, overlap, limit) / limit

    def pro(self) -> tuple[Floats, Floats]:
        """False positive rate and overlap: the curve with one point per good pixel, at its corners, ending at (1, 1).

        The overlap at a good pixel counts defective pixels strictly above it: one that merely ties with good pixels is
        found after all of them. Without ties this is the plain curve; with ties it is the cautious reading, and the
        one that the published evaluation converges to when every good pixel's score is a threshold.
        """
        if not (self.defective and self.good):
            return np.array([0.0, 1.0]), np.array([0.0, 1.0])
        last = np.append(self.false_positives[1:] > self.false_positives[:-1], True)  # of several at one rank
        rank, after = self.false_positives[last], self.overlap[last]
        before = np.append(0.0, after[:-1])
        first = float(after[0]) if rank[0] == 0 else 0.0
        inner = (rank > 0) & (rank < self.good)
        steps = np.stack([rank[inner] - 1, rank[inner]], axis=1).ravel()
        heights = np.stack([before[inner], after[inner]], axis=1).ravel()
        final = heights[-1] if heights.size else first
        ranks = np.concatenate([[0.0], steps, [self.good - 1.0, float(self.good)]])
        return ranks / self.good, np.concatenate([[first], heights, [final, 1.0]])

    def sampled_pro(self, thresholds: int) -> tuple[Floats, Floats]:
        """The curve at `thresholds` good pixels, evenly by rank, as the published numbers sample it; ends at (1, 1).

        Kept for comparison with published tables: at small limits the grid is coarse. Good pixels of equal score are
        counted one after another, as there.
        """
        above = self.good - 1 - np.linspace(0, self.good - 1, thresholds).astype(int)[::-1]  # good pixels before it
        passed = np.searchsorted(self.false_positives, above, side="right")
        return np.append(above / self.good, 1.0), np.append(np.append(0.0, self.overlap)[passed], 1.0)


def region_labels(masks: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """8-connected defect regions of (N, H, W) masks: labels (0 = good, then 1.. over all masks) and sizes per label."""
    labels = np.zeros(masks.shape, np.int32)
    count = 0
    for label, mask in zip(labels, masks, strict=True):
        if mask.any():
            label_count, components = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
            label[mask] = components[mask] + count
            count += label_count - 1
    return labels, np.bincount(labels.ravel(), minlength=count + 1)


def pixel_curves(maps: Scores, masks: Mask, chosen: Mask | None = None, device: str = "cpu") -> Curves:
    """Curves over all pixels of (N, H, W) float32 maps and bool masks, which may be memory-mapped.

    chosen: (N,) True for the images that count, None for all. device: where the good pixels are sorted.
    Peak memory beside the arrays: one chunk per thread, and the defective pixels. Raises ValueError on shape mismatch
    or NaN.
    """
    if maps.shape != masks.shape:
        raise ValueError(f"maps are {maps.shape}, masks {masks.shape}")
    step = max(1, CHUNK // max(maps[0].size, 1)) if len(maps) else 1
    parts: list[slice | NDArray[np.intp]] = [slice(start, start + step) for start in range(0, len(maps), step)]
    if chosen is not None:
        image_indices = np.flatnonzero(chosen)
        parts = [image_indices[start : start + step] for start in range(0, len(image_indices), step)]
    scores, regions, sizes = [], [], [np.zeros(1, np.int64)]
    for part in parts:
        mask = np.asarray(masks[part], bool)
        labels, count = region_labels(mask)
        earlier = sum(map(len, sizes)) - len(sizes)
        scores.append(np.asarray(maps[part])[mask])
        regions.append(labels[mask] + earlier)
        sizes.append(count)
    region_sizes = np.concatenate([[0], *(count[1:] for count in sizes)])

    def good() -> Iterator[Scores]:
        return (np.asarray(maps[part], np.float32)[~np.asarray(masks[part], bool)] for part in parts)

    defective = np.concatenate(scores) if scores else np.zeros(0, np.float32)
    return _curves(defective, good(), regions, region_sizes, device)


def image_curves(scores: Scores, labels: Mask) -> Curves:
    """Curves over (N,) image scores, labels True for defective."""
    if scores.shape != labels.shape:
        raise ValueError(f"scores are {scores.shape}, labels {labels.shape}")
    values, flags = np.asarray(scores, np.float32), np.asarray(labels, bool)
    return _curves(values[flags], iter([values[~flags]]))


def _curves(
    defective: Scores,
    good: Iterator[Scores],
    regions: list[NDArray[np.int32]] | None = None,
    sizes: NDArray[np.int64] | None = None,
    device: str = "cpu",
) -> Curves:
    """From the defective scores (with their regions and the regions' sizes) and chunks of good ones."""
    order = np.argsort(-defective, kind="stable")
    ordered = defective[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if ordered.size else np.zeros(0, int)
    threshold = ordered[last]
    above, at_least, total = _ranks(threshold, good, device)
    if np.isnan(ordered).any():
        raise ValueError("scores contain NaN")
    overlap = np.zeros(0)
    if regions and sizes is not None:
        # a defective pixel adds its share of its region, and every region weighs the same
        share = 1 / (np.maximum(sizes, 1) * max(len(sizes) - 1, 1))
        overlap = np.cumsum(share[np.concatenate(regions)[order]])[last]
    return Curves(
        threshold.astype(np.float64),
        (last + 1).astype(np.float64),
        above.astype(np.float64),
        at_least.astype(np.float64),
        overlap,
        total,
    )


def _ranks(
    threshold: Scores, chunks: Iterator[Scores], device: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """For descending thresholds: how many good scores are above each, and at or above it; and how many there are."""
    ascending = np.ascontiguousarray(threshold[::-1])
    count = _counted if device == "cpu" else partial(_counted_on_gpu, device)
    above, at_least, total = np.zeros(len(ascending), np.int64), np.zeros(len(ascending), np.int64), 0
    with ThreadPoolExecutor(threads := thread_count()) as pool:
        waiting = []
        for chunk in chunks:
            waiting.append(pool.submit(count, chunk, ascending))
            if len(waiting) > threads:  # no more chunks in memory than are worked on
                above, at_least, total = _added(waiting.pop(0).result(), above, at_least, total)
        for result in waiting:
            above, at_least, total = _added(result.result(), above, at_least, total)
    return above[::-1], at_least[::-1], total


Counts = tuple[NDArray[np.int64], NDArray[np.int64], int]


def _added(counts: Counts, above: NDArray[np.int64], at_least: NDArray[np.int64], total: int) -> Counts:
    return above + counts[0], at_least + counts[1], total + counts[2]


def _counted(chunk: Scores, ascending: Scores) -> Counts:
    chunk.sort()
    if chunk.size and np.isnan(chunk[-1]):  # NaN sorts last
        raise ValueError("scores contain NaN")
    return (
        len(chunk) - np.searchsorted(chunk, ascending, side="right"),
        len(chunk) - np.searchsorted(chunk, ascending, side="left"),
        len(chunk),
    )


def _counted_on_gpu(device: str, chunk: Scores, ascending: Scores) -> Counts:
    import torch  # only where there is a GPU to sort on

    thresholds = torch.from_numpy(ascending.copy()).to(device)
    values = torch.from_numpy(chunk).to(device).sort().values
    if len(values) and bool(values[-1].isnan()):
        raise ValueError("scores contain NaN")
    right, left = (torch.searchsorted(values, thresholds, right=side).cpu().numpy() for side in (True, False))
    return len(chunk) - right, len(chunk) - left, len(chunk)


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
    device: str = "cpu",
) -> dict[str, float]:
    """All metrics of (N, H, W) maps against bool masks; keys as in `metrics.json`.

    image_scores: (N,), the maximum of each map by default. labels: (N,) True for defective images; by default those
    whose mask is not empty (a tiny mask can vanish when it is resized). aupro_thresholds: None for the exact AUPRO,
    100 for the papers' sampled variant. device: as in `pixel_curves`.
    """
    scores = maps.max(axis=(1, 2)) if image_scores is None else np.asarray(image_scores, np.float32)
    defective = np.asarray(masks.any(axis=(1, 2)) if labels is None else labels)
    pixels = pixel_curves(maps, masks, device=device)
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


def pro_line(curves: Curves) -> Line:
    """The PRO curve to 30 % false positives, thinned to what a figure can show: false positive rate, mean overlap."""
    rate, overlap = curves.pro()
    shown = int(np.searchsorted(rate, DRAWN_TO, side="right"))
    step = max(1, shown // DRAWN)
    return rate[:shown:step], overlap[:shown:step]


def aupro_key(limit: float) -> str:
    return f"aupro_{round(100 * limit)}"
