"""Points anywhere between the pixels -> depth on the pixels: the nearest surface of each pixel, holes left open.

Every point covers a square of its spacing. First the nearest depth of each pixel is sought; then the points of that
surface, and of no other, are averaged with weights that fall with their distance. The nearest alone would be biased by
the noise towards the viewer.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

PER_CELL = 16  # points, from which their spacing is estimated
COVERED = 0.3  # least weight of a pixel's points: up to 0.7 spacings away, which leaves no hole in a turned grid
WIDEST = 2.0  # typical spacings that one point may cover: a surface inclined by 69 degrees; more goes beyond its rim
CHUNK = 1 << 15  # points at a time: what is computed of them stays in the processor's cache
SAMPLED = 50_000  # points, of which typical values are taken
FARTHEST = 3.0  # spacings between depths of one surface under a pixel: it may be inclined by 71 degrees
FILLINGS = 2  # of holes: points of scanners that are spread at random leave some of two pixels
NEIGHBOURS = 5  # of a pixel's eight that must have depth for it to be a hole in a surface; at a straight rim 3 have


def spacing_of(columns: Floats, rows: Floats) -> float:
    """Typical distance of (N,) points from the next ones, in pixels: from how many lie in cells, by the median."""
    left, top = columns.min(), rows.min()
    width, height = max(float(columns.max() - left), 1e-9), max(float(rows.max() - top), 1e-9)
    step = -(-len(columns) // SAMPLED)
    columns, rows = columns[::step], rows[::step]
    side = (width * height * PER_CELL / len(columns)) ** 0.5
    scale = np.float32(1 / side)
    cells = ((rows - top) * scale).astype(np.intp) * (int(width / side) + 2) + ((columns - left) * scale).astype(
        np.intp
    )
    counts = np.sort(np.bincount(cells))
    typical = counts[np.searchsorted(np.cumsum(counts), len(columns) / 2)]
    return float(side / (typical * step) ** 0.5)


def quantile(values: Floats, share: float) -> float:
    """Of (N,) values; of some of them where they are many."""
    return float(np.quantile(values[:: -(-len(values) // SAMPLED)], share))


def splatted(
    columns: Floats, rows: Floats, depth: Floats, reach: Floats, tolerance: float, shape: tuple[int, int]
) -> Floats:
    """(H, W) float32 depth, 0 where no point is.

    columns, rows: (N,) of the points, pixels of `shape`, at most one beside it. depth: (N,), above 0.
    reach: (N,), their spacing in pixels, at least 1. tolerance: of depth within a surface.
    """
    half_widths = np.ceil(reach - np.float32(0.02)).astype(np.uint8)  # what is 1 but for rounding is not 2
    most = int(half_widths.max(initial=1))
    pad = 2 * most + 1
    width = shape[1] + 2 * pad
    size = (shape[0] + 2 * pad) * width
    nearest = np.full(size, np.inf, np.float32)
    start = (rows + (pad + 0.5)).astype(np.int32) * width + (columns + (pad + 0.5)).astype(np.int32)
    np.minimum.at(nearest, start, depth)
    groups = [np.arange(len(depth))] if most == 1 else [np.flatnonzero(half_widths == k + 1) for k in range(most)]
    chunks = [
        (half + 1, group[begin : begin + CHUNK])
        for half, group in enumerate(groups)
        for begin in range(0, len(group), CHUNK)
    ]

    def squares(half: int, chosen: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], Floats, Floats]]:
        return _squares(columns[chosen], rows[chosen], reach[chosen], half, pad, width)

    for half, chosen in chunks:
        for place, high, wide in squares(half, chosen) if half > 1 else ():
            near = np.minimum(high, wide) >= COVERED
            np.minimum.at(nearest, place[near], depth[chosen[near]])
    around = cv2.erode(nearest.reshape(-1, width), np.ones((3, 3), np.uint8)).ravel()
    limit = np.where(np.isinf(nearest), around, nearest) + np.float32(tolerance)
    sums = np.zeros(size, np.complex64)  # of the weights, and of weights times depths: both at once are faster
    for half, chosen in chunks:
        values, weighted = depth[chosen], np.empty(len(chosen), np.complex64)
        for place, high, wide in squares(half, chosen):
            weight = high * wide
            weight *= values <= limit[place]
            weighted.real = weight
            weighted.imag = weight * values
            np.add.at(sums, place, weighted)
    mean = np.divide(sums.imag, sums.real, out=np.zeros(size, np.float32), where=sums.real >= COVERED)
    for _ in range(FILLINGS):
        _fill_holes(mean, width, tolerance)
    return mean.reshape(-1, width)[pad:-pad, pad:-pad]


def _squares(
    columns: Floats, rows: Floats, reach: Floats, half: int, pad: int, width: int
) -> Iterator[tuple[NDArray[np.intp], Floats, Floats]]:
    """The pixels that points cover, one of each point at a time: where it is, and its weights in height and width."""
    left, top = np.floor(columns - reach) + 1, np.floor(rows - reach) + 1
    start = (top.astype(np.intp) + pad) * width + (left.astype(np.intp) + pad)
    scale = 1 / reach
    wides = [np.maximum(1 - np.abs(left + step - columns) * scale, 0) for step in range(2 * half)]
    for down in range(2 * half):
        high = np.maximum(1 - np.abs(top + down - rows) * scale, 0)
        for across, wide in enumerate(wides):
            yield start + (down * width + across), high, wide


def _fill_holes(depth: Floats, width: int, tolerance: float) -> None:
    """In place, of (H * W,) depths with a rim of zeros: pixels that lie within one surface."""
    empty = depth == 0
    number = cv2.boxFilter((~empty).view(np.uint8).reshape(-1, width), -1, (3, 3), normalize=False).ravel()
    holes = np.flatnonzero(empty & (number >= NEIGHBOURS))
    around = np.add.outer((-width, 0, width), (-1, 0, 1)).ravel()
    near = depth[holes[:, None] + around]
    level = near.max(axis=1, initial=0) - np.where(near > 0, near, np.inf).min(axis=1, initial=np.inf) <= tolerance
    depth[holes[level]] = near[level].sum(axis=1) / number[holes[level]]


def enlarged(depth: Floats, shape: tuple[int, int], tolerance: float) -> Floats:
    """Depth at a larger size: between the pixels of one surface linear, at its rims that of the nearest pixel."""
    square = np.ones((3, 3), np.uint8)
    level = cv2.dilate(depth, square) - cv2.erode(depth, square) <= np.where(depth > 0, tolerance, 0)
    size = shape[::-1]
    linear = cv2.resize(depth, size, interpolation=cv2.INTER_LINEAR)
    nearest = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST_EXACT)
    smooth = cv2.resize(level.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.where(smooth > 0, linear, nearest)
