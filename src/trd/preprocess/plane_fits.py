"""Weighted plane fits around every pixel of a cloud, a strip of rows at a time: strips stay in the processor's cache,
and threads can share them.

Detectors are calibrated on these numbers, so every pixel's are computed in one order of operations, whatever the strip.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

STRIP = 256  # rows at a time, at most
THINNEST = 100  # rows, with many threads: each strip looks beyond both its ends, which thin ones repeat too often
ROWS = 48  # for which the arithmetic on nine moments stays in the cache
LINE = 8  # numbers of a cache line: vectors across two lines make numpy's arithmetic take twice as long
CENTRE_STEP = 4  # every fourth pixel in each direction tells about where the cloud is
LEAST_WEIGHT = 0.1  # of measured points, as a share of the whole window's
LEAST_AREA = 1e-6  # determinant of the points' spread, as a share of its squared trace: points on a line tell no plane


class PlaneFits:
    """Fits to one cloud. Threads may ask for several strips at once.

    xyz: (H, W, 3) float, metres, missing points zero. sigma: pixels, standard deviation of the Gaussian weights.
    """

    def __init__(self, xyz: Floats, sigma: float) -> None:
        self._xyz = xyz
        self._sigma = sigma

    def centre(self) -> Doubles:
        """(3,) about the middle of the cloud. Coordinates relative to it keep the sums of squares small against
        float64 rounding."""
        sampled = self._xyz[::CENTRE_STEP, ::CENTRE_STEP].reshape(-1, 3)
        sampled = np.compress(sampled[:, 2] != 0, sampled, axis=0)
        return np.asarray(sampled.mean(axis=0, dtype=np.float64)) if len(sampled) else np.zeros(3)

    def strip(
        self, rows: slice, centre: Callable[[], Doubles], rotation: Callable[[], Doubles]
    ) -> tuple[Doubles, Mask]:
        """Slopes (2, h, W), dz/dx and dz/dy in metres per metre, of rows of the cloud, and (h, W) where they are known.

        Unknown slopes are any number. `rotation` (3, 3) turns the camera's frame to that of the slopes; it and `centre`
        are asked for when they are needed, because others may still be working on them.
        """
        reach = window_reach(self._sigma)
        first = max(0, rows.start - reach)
        cloud = self._xyz[first : rows.stop + reach]
        width = cloud.shape[1]
        weight, moments = _weights(cloud), _aligned((9, *_padded(cloud)))
        moments[0, :, width:] = 0
        self._blur(weight[:, :width], moments[0, :, :width])
        middle, turn, spare = centre(), rotation(), _aligned((3, ROWS, moments.shape[2]))
        for strip_rows in strips(len(cloud), ROWS):
            _expand(cloud[strip_rows], weight[strip_rows], middle, turn, moments[1:, strip_rows], spare)
        for moment in moments[1:, :, :width]:
            self._blur(moment, moment)
        inner = moments[:, rows.start - first : rows.stop - first]
        known = np.empty(inner.shape[1:], bool)
        for strip_rows in strips(inner.shape[1], ROWS):
            _solve(inner[:, strip_rows], known[strip_rows], spare)
        return inner[1:3, :, :width], known[:, :width]

    def _blur(self, values: Doubles, out: Doubles) -> None:
        """Of the cloud's own columns: OpenCV rounds the last few of a row in another way."""
        cv2.GaussianBlur(values, (0, 0), self._sigma, dst=out, borderType=cv2.BORDER_CONSTANT)


def window_reach(sigma: float) -> int:
    """Pixels that the plane fit looks at in each direction: four standard deviations, where OpenCV cuts the weights."""
    return int(4 * sigma + 1)


def strips(height: int, most: int = STRIP, threads: int = 1) -> list[slice]:
    """Rows 0 to `height` in strips of about equal size, of `most` rows at most: one for each thread where they do not
    become too thin for that."""
    count = max(-(-height // most), min(threads, height // THINNEST))
    edges = [height * index // count for index in range(count + 1)]
    return [slice(first, last) for first, last in pairwise(edges)]


def _padded(cloud: Floats) -> tuple[int, int]:
    """Height and width of arrays for some rows of the cloud: whole cache lines wide."""
    return cloud.shape[0], -(-cloud.shape[1] // LINE) * LINE


def _weights(cloud: Floats) -> Doubles:
    """1 where a point was measured, else 0; 0 also in the columns added, as beyond the frame."""
    weight, width = _aligned(_padded(cloud)), cloud.shape[1]
    np.not_equal(cloud[..., 2], 0, out=weight[:, :width])
    weight[:, width:] = 0
    return weight


def _expand(
    cloud: Floats, weight: Doubles, centre: Doubles, rotation: Doubles, moments: Doubles, spare: Doubles
) -> None:
    """What is to be blurred of a few rows (h, W, 3) of the cloud: (8, h, w) weighted x, y and z in the frame of the
    slopes, and their products xx, xy, xz, yy and yz."""
    centred, points, width = spare[:, : len(cloud)], moments[:3], cloud.shape[1]
    for axis in range(3):
        centred[axis, :, :width] = cloud[..., axis]
    centred[..., width:] = 0
    centred -= centre[:, None, None]
    np.einsum("ij,jhw->ihw", rotation, centred, out=points)
    points *= weight
    np.multiply(points[0], points, out=moments[3:6])
    np.multiply(points[1], points[1:], out=moments[6:])


def _solve(moments: Doubles, known: Mask, spare: Doubles) -> None:
    """The slopes of a few rows, in place of x and y in what was blurred: (9, h, w) weights, then as `_expand` has them.

    `known` (h, w) is filled. Everything else is overwritten.
    """
    spare = spare[:, : len(known)]
    total, means, (x, y) = moments[0], moments[1:4], moments[1:3]
    np.greater(total, LEAST_WEIGHT, out=known)
    np.copyto(total, 1, where=~known)
    moments[1:] /= total
    # of the points about their mean
    moments[4:7] -= np.multiply(x, means, out=spare)
    moments[7:] -= np.multiply(y, means[1:], out=spare[:2])
    xx, xy, xz, yy, yz = moments[4:]
    term = spare[0]
    determinant = np.multiply(xx, yy, out=total)
    determinant -= np.multiply(xy, xy, out=term)
    trace = np.add(xx, yy, out=term)
    np.square(trace, out=trace)
    trace *= LEAST_AREA
    known &= determinant > trace
    np.copyto(determinant, 1, where=~known)
    np.multiply(yy, xz, out=x)
    x -= np.multiply(xy, yz, out=term)
    np.multiply(xx, yz, out=y)
    y -= np.multiply(xy, xz, out=term)
    means[:2] /= determinant


def _aligned(shape: tuple[int, ...]) -> Doubles:
    """An array without values that begins with a cache line."""
    size = int(np.prod(shape))
    values = np.empty(size + LINE)
    start = -(values.ctypes.data // values.itemsize) % LINE
    return values[start : start + size].reshape(shape)
