"""Lens distortion: directions in a camera's frame <-> pixels, by OpenCV's polynomial or by the division model.

A direction is (x / z, y / z). OpenCV's own projection takes 0.2 s for half a million points, this one some ms.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trd.types import Camera, ColourCamera

Floats = NDArray[np.float32]
Numbers = NDArray[Any]  # float32 or float64: what comes in goes out
Optics = Camera | ColourCamera

BORDER = 64  # places along each side of the picture, from which the field of view is taken
ROUNDS, ENOUGH = 60, 1e-7  # of undoing a distortion; directions, a thousandth of a pixel of most lenses


def pixels_of(x: Numbers, y: Numbers, optics: Optics) -> tuple[Numbers, Numbers]:
    """Columns and rows of the directions x and y, all of one shape and dtype."""
    if optics.kappa:
        stretch = 2 / (1 + np.sqrt(np.maximum(1 - 4 * optics.kappa * (x * x + y * y), 0)))
        x, y = x * stretch, y * stretch
    elif any(optics.distortion):
        radial, aside, down = _distortion(x, y, optics.distortion)
        x, y = x * radial + aside, y * radial + down
    return x * optics.fx + optics.cx, y * optics.fy + optics.cy


def directions_of(columns: Numbers, rows: Numbers, optics: Optics) -> tuple[Numbers, Numbers]:
    """Directions x and y of pixels, all of one shape and dtype."""
    x, y = (columns - optics.cx) / optics.fx, (rows - optics.cy) / optics.fy
    if optics.kappa:
        shrink = 1 + optics.kappa * (x * x + y * y)
        return x / shrink, y / shrink
    if any(optics.distortion):
        distorted_x, distorted_y = x, y
        for _ in range(ROUNDS):
            radial, aside, down = _distortion(x, y, optics.distortion)
            before = x
            x, y = (distorted_x - aside) / radial, (distorted_y - down) / radial
            if np.abs(x - before).max(initial=0) < ENOUGH:
                break
    return x, y


def _distortion(x: Numbers, y: Numbers, numbers: tuple[float, ...]) -> tuple[Numbers, Numbers, Numbers]:
    """OpenCV's radial factor, and what is added to x and to y."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*numbers, *[0.0] * 4)[:8]
    squared = x * x + y * y
    radial = 1 + squared * (k1 + squared * (k2 + squared * k3))
    if k4 or k5 or k6:
        radial = radial / (1 + squared * (k4 + squared * (k5 + squared * k6)))
    product = 2 * x * y
    return radial, p1 * product + p2 * (squared + 2 * x * x), p2 * product + p1 * (squared + 2 * y * y)


@lru_cache(maxsize=4)
def rays(optics: Optics, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """(H, W) float32 directions x and y of every pixel; computed once, not to be written to."""
    columns, rows = np.meshgrid(np.arange(shape[1], dtype=np.float64), np.arange(shape[0], dtype=np.float64))
    x, y = (axis.astype(np.float32) for axis in directions_of(columns, rows, optics))
    x.flags.writeable = y.flags.writeable = False
    return x, y


@lru_cache(maxsize=16)
def field_of_view(optics: Optics, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """Least and greatest x and y of the directions that a picture shows, with a margin.

    The polynomial brings directions far outside back into the picture: they must be left out before it is applied.
    """
    across, down = (np.linspace(-0.5, side - 0.5, BORDER) for side in shape[::-1])
    columns = np.concatenate([across, across, np.full(BORDER, across[0]), np.full(BORDER, across[-1])])
    rows = np.concatenate([np.full(BORDER, down[0]), np.full(BORDER, down[-1]), down, down])
    x, y = directions_of(columns, rows, optics)
    margin = 0.02 * max(np.ptp(x), np.ptp(y))
    return float(x.min() - margin), float(x.max() + margin), float(y.min() - margin), float(y.max() + margin)
