"""Which pixels of an organised point cloud belong to the part: the points that stand off the support plane.

Shapes: xyz is (H, W, 3) float32, metres, camera frame, missing points (0, 0, 0); planes are (a, b, c, d) with unit
normal (a, b, c) and a*x + b*y + c*z + d = 0.

Our own sums over points are einsum, not @: scans are prepared in several threads (`preprocess.threads`), and a BLAS
with threads of its own in each of them made two slower than one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

PAPER_PLANE_DISTANCE = 0.005  # metres, as published
PLANE_ROUGHNESS = 0.0015  # metres: median distance of the border's points from what may be called their plane
PART_REACH = 8  # pixels that `part_foreground` looks at in each direction: opening and closing by discs of 5
PLANE_FACING = 0.3  # cosine to the viewing direction: a support seen more steeply than 72 degrees is none
CORNER = 3  # pixels: the paper averages the valid points of three 3 x 3 image corners


def valid_points(xyz: Floats) -> Mask:
    """(H, W) True where the sensor measured a point."""
    return np.asarray(xyz[..., 2] != 0)


def corner_plane(xyz: Floats) -> NDArray[np.float64] | None:
    """Plane through the mean points of the top-left, top-right and bottom-left 3 x 3 corners (the paper's).

    None where a corner holds no valid point or the three means lie on a line.
    """
    corners = (xyz[:CORNER, :CORNER], xyz[:CORNER, -CORNER:], xyz[-CORNER:, :CORNER])
    means = []
    for corner in corners:
        points = corner.reshape(-1, 3).astype(np.float64)
        points = points[points[:, 2] != 0]
        if not len(points):
            return None
        means.append(points.mean(axis=0))
    top_left, top_right, bottom_left = means
    normal = np.cross(top_right - top_left, bottom_left - top_left)
    length = np.linalg.norm(normal)
    if length == 0:
        return None
    normal /= length
    return np.append(normal, -normal @ top_left)


def plane_distance(xyz: Floats, plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W) unsigned distance of every point from the plane, metres; missing points give the plane's offset."""
    return np.asarray(np.abs(xyz.astype(np.float64) @ plane[:3] + plane[3]))


def paper_foreground(xyz: Floats) -> Mask:
    """(H, W) foreground as published: over 5 mm from the corner plane and measured, then a 3 x 3 closing, thrice.

    Without a usable corner plane (a part that fills the frame) every measured point counts as foreground.
    """
    plane = corner_plane(xyz)
    foreground = valid_points(xyz)
    if plane is not None:
        foreground &= plane_distance(xyz, plane) > PAPER_PLANE_DISTANCE
    closed = cv2.morphologyEx(foreground.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8), iterations=3)
    return closed.astype(bool)


def border_plane(xyz: Floats, width: float = 0.04, rounds: int = 3) -> NDArray[np.float64] | None:
    """Support plane fitted to the frame's border by least squares with outlier rejection; None where that fails.

    Uses all valid points in a border of `width` times the shorter side, where the corner plane sees 27 points, so a
    hole in a corner or sensor noise does not tilt it. A part that reaches across the border leaves more than half
    the border off the plane; then there is no plane.
    """
    points = _border_points(xyz, max(3, round(width * min(xyz.shape[:2]))))
    if points.shape[1] < 32:
        return None
    origin = points.mean(axis=1)  # near the points, so that squares lose no digits
    points -= origin[:, None]
    kept = np.ones(points.shape[1])
    plane, typical = np.zeros(4), np.inf
    for _ in range(rounds):
        centre = np.einsum("cn,n->c", points, kept) / kept.sum()
        spread = np.einsum("in,jn->ij", points * kept, points) / kept.sum() - np.outer(centre, centre)
        normal = np.linalg.eigh(spread)[1][:, 0]  # the direction of least spread
        plane = np.append(normal, -normal @ (origin + centre))
        residual = np.abs(np.einsum("c,cn->n", normal, points) - normal @ centre)
        typical = float(np.median(residual))
        # 3 x the robust deviation (median absolute residual -> sigma), never under 0.2 mm: sensor resolution
        kept = (residual <= max(3 * 1.4826 * typical, 2e-4)).astype(np.float64)
        if kept.sum() < 32:
            return None
    if kept.mean() < 0.5 or typical > PLANE_ROUGHNESS or abs(plane[2]) < PLANE_FACING:
        return None
    return plane if plane[2] < 0 else -plane  # towards the camera: heights over the plane are positive


def _border_points(xyz: Floats, band: int) -> NDArray[np.float64]:
    """(3, N) measured points of a border `band` pixels wide; coordinates in rows of their own compute fastest."""
    strips = (xyz[:band], xyz[-band:], xyz[band:-band, :band], xyz[band:-band, -band:])
    points = np.concatenate([strip.reshape(-1, 3) for strip in strips])
    return np.ascontiguousarray(points[points[:, 2] != 0].T, np.float64)


def height_over_plane(xyz: Floats, plane: NDArray[np.float64]) -> Floats:
    """(H, W) signed height over the plane towards the camera, metres; 0 where nothing was measured."""
    height = np.einsum("hwc,c->hw", xyz, plane[:3].astype(np.float32)) + np.float32(plane[3])  # to 1e-7 m at a metre
    return np.where(valid_points(xyz), height, np.float32(0))


def part_foreground(xyz: Floats, plane: NDArray[np.float64] | None, clearance: float = 0.003) -> Mask | None:
    """(H, W) pixels of the part: over `clearance` metres above the `border_plane`, specks removed, small holes closed.

    None where there is no support plane or nothing stands on it.
    """
    if plane is None:
        return None
    mask = (height_over_plane(xyz, plane) > clearance).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc)
    part = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, disc).astype(bool)
    return part if part.any() else None
