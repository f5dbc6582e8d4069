"""Clouds of another sensor -> organised clouds on the pixels of the colour picture, in the colour camera's frame.

The picture is left as it is and the points are projected with its lens's distortion: a picture that is straightened
is interpolated once more, loses its rim, and no longer is what the masks and the reports show.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.data.cameras import fitted_colour
from trd.data.lenses import field_of_view, pixels_of, rays
from trd.data.splats import FARTHEST, WIDEST, enlarged, quantile, spacing_of, splatted
from trd.errors import DataError
from trd.types import ColourCamera

Floats = NDArray[np.float32]

FEWEST = 4  # points in the picture: fewer make no surface
SPACED = 0.9  # of the points: share whose spacing a pixel of the picture that they fill may have


@np.errstate(all="ignore")  # what is missing, behind the camera or absurdly far gives any number, and is left out
def projected(points: Floats, colour: ColourCamera, shape: tuple[int, int], path: Path) -> Floats:
    """(H, W, 3) float32 cloud in the colour camera's frame, metres, missing points (0, 0, 0).

    points: (N, 3) or organised (h, w, 3) float32 in the 3D sensor's frame, metres, missing (0, 0, 0). shape: (H, W) of
    the picture. What the colour camera cannot see, because it is behind something, is missing, and so is what only it
    sees. Raises DataError, naming the file of points (`path`), where none falls into the picture.
    """
    colour = fitted_colour(colour, shape, path)
    pose = np.column_stack([np.array(colour.rotation), np.array(colour.translation)])
    x, y, z = (axis[0] for axis in cv2.split(cv2.transform(points.reshape(1, -1, 3), pose)))
    known = _measured(points) & (z > 0)
    left, right, top, bottom = field_of_view(colour, shape)
    x /= z
    y /= z
    seen = known & (x > left) & (x < right) & (y > top) & (y < bottom)
    columns, rows = pixels_of(x, y, colour)
    seen &= (columns > -1) & (columns < shape[1]) & (rows > -1) & (rows < shape[0])
    in_grid = _reach_in_grid(columns, rows, seen, points.shape[:2]) if points.ndim == 3 else None
    chosen = np.flatnonzero(seen)
    if len(chosen) < FEWEST:
        raise DataError(
            f"{path}: {len(chosen)} of its {np.count_nonzero(known)} points before the colour camera fall into the "
            "picture; check pose (from the 3D sensor's frame to the colour camera's, metres) and units in camera.json"
        )
    columns, rows, z = columns[chosen], rows[chosen], z[chosen]
    distance = quantile(z, 0.5)
    reach = np.float32(spacing_of(columns, rows) * distance) / z if in_grid is None else in_grid[chosen]
    spacing = max(quantile(reach, SPACED), 1e-6)
    tolerance = FARTHEST * spacing * distance / min(colour.fx, colour.fy)
    # Where the points are sparser than the pixels, a picture of their own density is filled first.
    small = tuple(min(side, max(1, round(side / spacing))) for side in shape)
    down, across = small[0] / shape[0], small[1] / shape[1]
    columns = (columns + np.float32(0.5)) * np.float32(across) - np.float32(0.5)
    rows = (rows + np.float32(0.5)) * np.float32(down) - np.float32(0.5)
    reach = np.clip(reach * np.float32(max(down, across)), 1, WIDEST).astype(np.float32)
    depth = splatted(columns, rows, z, reach, tolerance, (small[0], small[1]))
    if small != shape:
        depth = enlarged(depth, shape, tolerance)
    ray_x, ray_y = rays(colour, shape)
    return np.asarray(cv2.merge([ray_x * depth, ray_y * depth, depth]), np.float32)


def _measured(points: Floats) -> NDArray[np.bool_]:
    x, y, z = cv2.split(points.reshape(1, -1, 3))
    measured: NDArray[np.bool_] = ((z != 0) | (x != 0) | (y != 0))[0]
    return measured


def _reach_in_grid(columns: Floats, rows: Floats, seen: NDArray[np.bool_], grid: tuple[int, ...]) -> Floats:
    """(h * w,) half the side of the square that each pixel's quad fills in the picture.

    Of the neighbours on both sides the nearer one counts: the other may lie beyond a jump of depth, across which
    nothing is filled.
    """
    columns, rows, seen = columns.reshape(grid), rows.reshape(grid), seen.reshape(grid)
    reach = np.zeros(grid, np.float32)
    for axis in (0, 1):  # to the next row, to the next column
        side = np.full(grid, np.inf, np.float32)
        before, after = (side[:-1], side[1:]) if axis == 0 else (side[:, :-1], side[:, 1:])
        step = np.sqrt(np.diff(columns, axis=axis) ** 2 + np.diff(rows, axis=axis) ** 2)
        both = (seen[:-1] & seen[1:]) if axis == 0 else (seen[:, :-1] & seen[:, 1:])
        step[~both] = np.inf
        before[...] = step
        np.minimum(after, step, out=after)
        reach = np.maximum(reach, side)
    lonely = np.isinf(reach)
    reach[lonely] = np.median(reach[seen & ~lonely]) if (seen & ~lonely).any() else 1
    return reach.ravel()
