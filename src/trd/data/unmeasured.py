"""Stored depths, heights and points -> what was measured: values for "not measured" removed where they are declared.

Others that look like one are refused here, before the numbers become points of another grid: there they would be one
depth among others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trd.data.sentinels import Sentinel, sentinel_in, spread
from trd.errors import DataError
from trd.types import Camera

MESH_SUFFIXES = (".stl", ".obj")
MOST = 0.9  # of the coordinates, whose size is that of what was measured: others may be "not measured" too


def known_depths(
    grid: NDArray[np.generic], camera: Camera | None, path: Path, absent: float = 0
) -> NDArray[np.generic]:
    """(H, W) stored depths or heights, `absent` for the values that the camera file calls missing.

    Raises DataError where another value looks like one.
    """
    for value in camera.missing if camera is not None else ():
        grid = np.where(grid == value, np.asarray(absent, grid.dtype), grid)
    if (sentinel := sentinel_in(spread(grid))) is not None:
        raise _undeclared(path, sentinel, "write 0 there")
    return grid


def known_points(points: NDArray[np.float32], camera: Camera | None, path: Path) -> NDArray[np.float32]:
    """(N, 3) or (H, W, 3) as stored, (0, 0, 0) where z is a value that the camera file calls missing.

    Raises DataError where another value looks like one, unless the points stay on their grid and in their unit: then
    the recipe judges (`trd.preprocess.cloud_values`).
    """
    for value in camera.missing if camera is not None else ():
        absent = points[..., 2] == np.float32(value)
        points = np.where(absent[..., None], np.float32(0), points) if absent.any() else points
    if points.ndim == 2 or (camera is not None and camera.concerns_points):
        depths, size = spread(points[..., 2]), 0.0
        if path.suffix.lower() in MESH_SUFFIXES:  # a face may lie far from all other vertices, with nothing between
            size = max(_size(points[:, axis]) for axis in (0, 1))
        if (sentinel := sentinel_in(depths, points.ndim == 3, size)) is not None:
            raise _undeclared(path, sentinel, "leave these points out of the files")
    return points


def _size(values: NDArray[np.float32]) -> float:
    few = spread(values)
    return float(np.quantile(np.abs(few), MOST)) if len(few) else 0.0


def _undeclared(path: Path, sentinel: Sentinel, otherwise: str) -> DataError:
    return DataError(
        f'{path}: {sentinel}. If it is, put "missing": [{sentinel.value}] into camera.json; if the distance is real, '
        f"{otherwise}"
    )
