"""Raw maps -> z-scored, smoothed maps and the fused map (paper, section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.decision.calibration import Fusion, MapStatistics

Map = NDArray[np.float32]
Region = NDArray[np.bool_] | None
"""(h, w) True where a part is scored; None for everywhere."""

PAPER_SIGMA = 4.0
TRUNCATE = 4.0  # standard deviations at which the Gaussian ends, as scipy's default that the published numbers used


def branch_maps(
    raw: Mapping[str, Map], statistics: Mapping[str, MapStatistics], sigma: float, region: Region
) -> dict[str, Map]:
    """`branch_map` of every branch of one part."""
    return {name: branch_map(values, statistics[name], sigma, region) for name, values in raw.items()}


def branch_map(raw: Map, statistics: MapStatistics, sigma: float, region: Region) -> Map:
    """z-score an (h, w) map, set pixels outside `region` to the floor, smooth.

    The paper smooths the sum; smoothing is linear, so smoothing the parts gives the same sum and each branch's exact
    share of it.
    """
    scores = (raw - np.float32(statistics.mean)) / np.float32(statistics.std)
    if region is not None:
        scores[~region] = statistics.floor
    return smooth(scores, sigma)


def fused_map(maps: Mapping[str, Map], rule: Fusion) -> Map:
    """Of all branches' standardised maps, (h, w): "sum" as published, or "norm" (`Calibration.fusion`)."""
    first, *others = maps.values()
    if rule == "sum":
        total = first.copy()
        for values in others:
            total += values
        return total
    squares, greatest = np.square(np.maximum(first, 0)), first.copy()
    for values in others:
        squares += np.square(np.maximum(values, 0))
        np.maximum(greatest, values, out=greatest)
    return np.where(greatest > 0, np.sqrt(squares), greatest)


def smooth(maps: NDArray[np.float32], sigma: float = PAPER_SIGMA) -> NDArray[np.float32]:
    """Gaussian over the last two axes of (..., H, W) maps, sigma in pixels; cut at 4 sigma, edges reflected.

    Equals scipy's `gaussian_filter` to float32 rounding, in a sixth of its time.
    """
    if sigma == 0:
        return maps
    kernel = _kernel(sigma)
    flat = np.ascontiguousarray(maps, np.float32).reshape(-1, *maps.shape[-2:])
    smoothed = [cv2.sepFilter2D(one, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT) for one in flat]
    return np.asarray(np.stack(smoothed).reshape(maps.shape), np.float32)


def smoothing_matrix(size: int, sigma: float) -> NDArray[np.float32]:
    """(size, size): what `smooth` does to a line of pixels, as a product."""
    lines = np.eye(size, dtype=np.float32)
    if sigma == 0:
        return lines
    kernel, alone = _kernel(sigma), np.ones(1, np.float32)
    smoothed = cv2.sepFilter2D(lines, cv2.CV_32F, alone, kernel, borderType=cv2.BORDER_REFLECT)
    return np.ascontiguousarray(smoothed, np.float32)


@cache
def _kernel(sigma: float) -> NDArray[np.float32]:
    reach = int(TRUNCATE * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


def scored_pixels(values: Map, region: Region) -> Map:
    """1-D: the pixels of an (h, w) map that count."""
    return values.ravel() if region is None else values[region]


def all_scored_pixels(maps: Sequence[Map], regions: Sequence[Region]) -> list[Map]:
    """`scored_pixels` of each part."""
    return [scored_pixels(values, region) for values, region in zip(maps, regions, strict=True)]
