"""Heights seen straight from above -> organised clouds: profilers' maps, and points over the support of the parts.

Nothing here has a camera: the viewer is put `STANDOFF` metres before the heights' zero, so that no depth is 0, which
means "not measured", and that parts of one class stay at their distance.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trd.data.decoding import decoded
from trd.data.limits import POINT_BYTES, check_cloud
from trd.data.splats import FARTHEST, spacing_of, splatted
from trd.errors import DataError
from trd.types import Camera, SupportGrid

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

log = logging.getLogger(__name__)

STANDOFF = 1.0  # metres; float32 still tells 0.1 micrometres apart
NUMBERS = re.compile(r"[-+.,;\s\d\"eEnNaA]*")  # of a line of a table, blanks and NaN among them
SAMPLED, TRIALS = 4000, 300  # points and planes that the support is sought with
THICKNESS = 0.005  # of the points' extent: how far from a plane points may lie that are counted for it
LEAST_SHARE = 0.1  # of the points that must lie on a plane for it to be the support
RIM = 0.02  # of the extent, added around the first part: others may lie a little aside
BELOW = 2.0  # times as many points behind the support as before it: then z probably points the other way


def read_height_table(path: Path) -> Floats:
    """The table of heights in a CSV file, (H, W) float32, blank cells NaN.

    It is the longest run of lines with equally many cells, two or more, that are numbers or blank; a header before it
    and anything behind it are left out, and so are a first row and a first column that only count in equal steps.
    """
    return decoded(path, lambda: _height_table(path), "as a table of heights")


def _height_table(path: Path) -> Floats:
    size = path.stat().st_size
    check_cloud(path, max(1, -(-size // POINT_BYTES)), f"{size} bytes of text")
    lines = path.read_text("utf-8-sig", "replace").splitlines()
    begin, end, best = 0, 0, (0, 0)
    mark = next((mark for mark in "\t;" if sum(mark in line for line in lines) > len(lines) / 2), ",")
    widths = [line.count(mark) if NUMBERS.fullmatch(line) else 0 for line in lines]
    for number, width in enumerate([*widths, -1]):
        if number and width != widths[number - 1]:
            if widths[number - 1] and number - begin > best[1] - best[0]:
                best = (begin, number)
            begin = number
    begin, end = best
    if end - begin < 2:
        raise ValueError("no two lines of it hold equally many numbers")
    check_cloud(path, (end - begin) * (widths[begin] + 1), f"{end - begin} x {widths[begin] + 1} cells")
    text = mark.join(lines[begin:end]).replace('"', "")
    cells = [cell.strip() or "nan" for cell in (text if mark == "," else text.replace(",", ".")).split(mark)]
    table = np.array(cells, np.float32).reshape(end - begin, -1)
    if _counts(table[0, 1:]) and _counts(table[1:, 0]):
        table = table[1:, 1:]
    measured = ~np.isnan(table)
    if not measured.any():
        raise ValueError("its table holds no number")
    if not measured[:, -1].any() and lines[begin].rstrip().endswith(mark):  # a mark behind the last cell
        table = table[:, :-1]
    return table


def _counts(values: Floats) -> bool:
    """Whether numbers go on in equal steps, as places along an axis do."""
    steps = np.diff(values.astype(np.float64))
    return len(steps) > 1 and bool(steps[0] != 0) and bool((np.abs(steps - steps[0]) < 0.01 * abs(steps[0])).all())


def height_cloud(heights: NDArray[Any], camera: Camera, path: Path) -> Floats:
    """(H, W, 3) float32 metres of a profiler's heights (H, W), NaN = missing; missing points (0, 0, 0).

    x grows with the columns, y with the rows, z away from the viewer. Raises DataError for heights beyond `STANDOFF`.
    """
    if camera.height_map is None:
        raise DataError(
            f'{path} is a height map, which needs camera.json: {{"kind": "height_map", "pitch_x": .., "pitch_y": .., '
            '"height_scale": .., "z": "towards"}, in metres per column, row and unit of height'
        )
    scan = camera.height_map
    z = heights.astype(np.float64) * (scan.height_scale if camera.z == "away" else -scan.height_scale)
    known = np.isfinite(z)
    if camera.colour is None:
        z += STANDOFF
        if (z[known] <= 0).any():
            raise DataError(
                f"{path}: heights reach {np.nanmax(np.abs(z - STANDOFF)):.4g} metres with height_scale "
                f"{scan.height_scale:g}; check height_scale in camera.json (metres per unit; 0.001 for millimetres)"
            )
    rows, columns = np.indices(z.shape, np.float32)
    cloud = np.stack([columns * np.float32(scan.pitch_x), rows * np.float32(scan.pitch_y), z], axis=-1)
    cloud[~known] = 0
    return np.asarray(cloud, np.float32)


def support_grid(points: Floats, path: Path) -> SupportGrid:
    """The grid over the support plane of the first part's points, (N, 3) metres, z away from the sensor."""
    points = points[points.any(axis=1)]
    if len(points) < 3:
        raise DataError(f"{path}: {len(points)} points are measured, too few for a surface; export it again")
    away, share = _support_normal(points[:: -(-len(points) // SAMPLED)].astype(np.float64))
    across = np.array([1.0, 0, 0]) - away[0] * away
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(away, across), away])
    along = points @ axes.T.astype(np.float32)
    low, high = np.quantile(along[:, :2].astype(np.float64), [0.001, 0.999], axis=0)
    low, high = low - RIM * (high - low), high + RIM * (high - low)
    level = _level(along[:, 2])
    inside = ((along[:, :2] > low) & (along[:, :2] < high)).all(axis=1)
    pitch = spacing_of(along[inside, 0], along[inside, 1])
    width, height = (max(1, round(float(side) / pitch)) for side in high - low)
    check_cloud(path, height * width, f"a surface of {height} x {width} points")
    thickness = 3 * FARTHEST * pitch
    before, behind = (int((sign * (along[:, 2] - level) > thickness).sum()) for sign in (-1, 1))
    support = f"the support plane of {share:.0%} of its points" if share else "its z axis, for lack of a support plane"
    log.info(
        "points without a picture are looked at along %s in %s: %d x %d pixels of %.4g mm",
        *(support, path, height, width, 1000 * pitch),
    )
    if behind > BELOW * before:
        log.warning(
            '%s: most points off the support lie behind it; if the parts stand on it, put {"z": "towards"} into '
            "camera.json",
            path,
        )
    x, y, z = ((float(axis[0]), float(axis[1]), float(axis[2])) for axis in axes)
    origin = np.array([*low, level]) @ axes
    return SupportGrid((x, y, z), (float(origin[0]), float(origin[1]), float(origin[2])), pitch, (height, width))


def _support_normal(points: Doubles) -> tuple[Doubles, float]:
    """Normal of the plane that holds most of (N, 3) points, away from the sensor, and their share; 0 without one."""
    extent = float(np.linalg.norm(np.subtract(*np.quantile(points, [0.95, 0.05], axis=0))))
    chosen = np.random.default_rng(0).integers(len(points), size=(TRIALS, 3))
    first, second, third = (points[chosen[:, corner]] for corner in range(3))
    normals = np.cross(second - first, third - first)
    lengths = np.linalg.norm(normals, axis=1)
    normals[lengths > 0] /= lengths[lengths > 0, None]
    offsets = np.einsum("tc,tc->t", normals, first)
    near = np.abs(points @ normals.T - offsets) < THICKNESS * extent
    near[:, lengths == 0] = False
    best = int(near.sum(axis=0).argmax())
    inliers = points[near[:, best]]
    if len(inliers) < max(3, LEAST_SHARE * len(points)):
        return np.array([0.0, 0, 1]), 0.0
    _, _, directions = np.linalg.svd(inliers - inliers.mean(axis=0), full_matrices=False)
    normal = directions[2]
    if abs(normal[2]) < 0.1:  # a wall, seen edge-on
        return np.array([0.0, 0, 1]), 0.0
    return np.asarray(normal * np.sign(normal[2])), len(inliers) / len(points)


def _level(depths: Floats) -> float:
    """Where most of (N,) depths along the normal are."""
    counts, edges = np.histogram(depths, bins=200)
    most = int(counts.argmax())
    near = depths[(depths >= edges[max(most - 1, 0)]) & (depths <= edges[min(most + 2, len(edges) - 1)])]
    return float(np.median(near))


@np.errstate(all="ignore")  # absurd points lie outside the grid
def over_support(points: Floats, grid: SupportGrid, path: Path) -> Floats:
    """(H, W, 3) float32 metres of points (N, 3) on the grid, missing (0, 0, 0); the support is `STANDOFF` away.

    Raises DataError, naming the file of points (`path`), where none is there.
    """
    points = points[points.any(axis=1)]
    along = (points - np.array(grid.origin, np.float32)) @ np.array(grid.axes, np.float32).T
    columns, rows, depth = (np.ascontiguousarray(axis) for axis in along.T)
    columns /= np.float32(grid.pitch)
    rows /= np.float32(grid.pitch)
    depth += np.float32(STANDOFF)
    kept = (depth > 0) & (columns > -1) & (columns < grid.size[1]) & (rows > -1) & (rows < grid.size[0])
    if not kept.any():
        raise DataError(
            f"{path}: none of its {len(points)} points lies over the support of the first training part; the sensor "
            "has moved, or units and z in camera.json are of other files: train again, or check them"
        )
    reach = np.ones(np.count_nonzero(kept), np.float32)
    z = splatted(columns[kept], rows[kept], depth[kept], reach, FARTHEST * grid.pitch, grid.size)
    down, across = np.indices(grid.size, np.float32) * np.float32(grid.pitch)
    return np.where(z[..., None] > 0, np.stack([across, down, z], axis=-1), np.float32(0))
