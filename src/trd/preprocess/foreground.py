"""Which pixels of an organised point cloud belong to the part: the points that stand off the support plane.

Shapes: xyz is (H, W, 3) float32, metres, camera frame, missing points (0, 0, 0); planes are (a, b, c, d) with unit
normal (a, b, c) and a*x + b*y + c*z + d = 0.

Our own sums over points are einsum, not @: scans are prepared in several threads (`preprocess.threads`), and a BLAS
with threads of its own in each of them made two slower than one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import PartConfig

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

PAPER_PLANE_DISTANCE = 0.005  # metres, as published
PART_REACH = 8  # pixels that `part_foreground` looks at in each direction: opening and closing by discs of 5
FEWEST = 32  # border points that may make a plane
SPAN = 0.25  # least spread of the border's points, as a share of all points' spread: a strip or corner tells no tilt
WHOLE = 0.95  # share of the frame's border from which on the outline of the measured area would be the same again
REGION_DILATION = 5  # pixels of the network's input: a defect at the part's rim shows just outside it too
ROUNDS = 3  # of fitting and rejecting outliers
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


class BorderFit(NamedTuple):
    """What the border showed: the support plane, or why there is none, with the numbers that decided.

    points: measured ones in the border. share: of the border's pixels that were measured. residual: metres, median
    distance of the points from the best plane. inlier_share: of the points, those that lie on it. facing: cosine
    between its normal and the viewing direction. fault: "" with a plane; else too few points, all on one side, points
    too far off ("rough"), too many off ("cut", as by a part across the border), or a plane seen too steeply.
    """

    plane: NDArray[np.float64] | None
    points: int
    share: float
    residual: float = 0.0
    inlier_share: float = 0.0
    facing: float = 0.0
    fault: Literal["", "few", "one side", "rough", "cut", "steep"] = ""


def border_plane(xyz: Floats, config: PartConfig | None = None) -> NDArray[np.float64] | None:
    """The support plane of a cloud, None where there is none (`fit_border`)."""
    return fit_border(xyz, config).plane


def fit_border(xyz: Floats, config: PartConfig | None = None) -> BorderFit:
    """Support plane fitted to the border by least squares with outlier rejection.

    Uses all valid points in a border of `config.border` times the shorter side, where the corner plane sees 27 points,
    so a hole in a corner or sensor noise does not tilt it. The border is the frame's; where that shows no plane because
    little of it was measured, as with structured light, the border of the measured area. A part that reaches across
    the border leaves more than half the border off the plane; then there is no plane.
    """
    config = config or PartConfig()
    points, share = _border_points(xyz, max(3, round(config.border * min(xyz.shape[:2]))))
    fit = _fit_plane(xyz, points, share, config)
    if fit.plane is None and share < WHOLE:
        inner = _fit_plane(xyz, *_outline_points(xyz, config.border), config)
        fit = fit if inner.fault == "few" else inner
    return fit


def _fit_plane(xyz: Floats, points: NDArray[np.float64], share: float, config: PartConfig) -> BorderFit:
    """Of (3, N) border points, which are changed."""
    count = points.shape[1]
    if count < FEWEST:
        return BorderFit(None, count, share, fault="few")
    origin = points.mean(axis=1)  # near the points, so that squares lose no digits
    points -= origin[:, None]
    inliers, number, squares = np.ones(count), count, np.empty((3, 3))
    plane, typical, width = np.zeros(4), np.inf, 0.0
    for _ in range(ROUNDS):
        centre = np.einsum("cn,n->c", points, inliers) / number
        weighted = points if number == count else points * inliers
        # each product once, in the order of summing that all nine at once have
        squares[0] = squares[:, 0] = np.einsum("n,jn->j", weighted[0], points)
        squares[1:, 1:] = np.einsum("in,jn->ij", weighted[1:], points[1:])
        spread = squares / number - np.outer(centre, centre)
        variances, axes = np.linalg.eigh(spread)
        normal, width = axes[:, 0], float(variances[1])  # the direction of least spread; the variance along the next
        plane = np.append(normal, -normal @ (origin + centre))
        residual = np.einsum("c,cn->n", normal, points)
        residual -= normal @ centre
        np.abs(residual, out=residual)
        typical = _median(residual)
        # 3 x the robust deviation (median absolute residual -> sigma), never under 0.2 mm: sensor resolution
        on_plane = residual <= max(3 * 1.4826 * typical, 2e-4)
        np.copyto(inliers, on_plane)
        number = np.count_nonzero(on_plane)
        if number < FEWEST:
            break
    fit = BorderFit(None, count, share, typical, number / count, float(abs(plane[2])))
    if typical > config.roughness:
        return fit._replace(fault="rough")
    if number < FEWEST or fit.inlier_share < 0.5:
        return fit._replace(fault="cut")
    if fit.facing < config.facing:
        return fit._replace(fault="steep")
    if width < SPAN**2 * _lateral_variance(xyz):
        return fit._replace(fault="one side")
    return fit._replace(plane=plane if plane[2] < 0 else -plane)  # towards the camera: heights over it are positive


def _median(values: NDArray[np.float64]) -> float:
    """Of (N,) numbers, one at least. numpy's own looks for NaN as well, which takes most of its time."""
    half = len(values) // 2
    sorted_there = np.partition(values, half)
    upper = float(sorted_there[half])
    return upper if len(values) % 2 else (float(sorted_there[:half].max()) + upper) / 2


def _lateral_variance(xyz: Floats) -> float:
    """Of all points in x and y, along the direction in which they spread less; from every 16th pixel, metres^2."""
    sampled = xyz[::16, ::16].reshape(-1, 3)
    sampled = sampled[sampled[:, 2] != 0][:, :2].astype(np.float64)
    return float(np.linalg.eigvalsh(np.cov(sampled.T))[0]) if len(sampled) > 2 else 0.0


def _border_points(xyz: Floats, band: int) -> tuple[NDArray[np.float64], float]:
    """(3, N) measured points of the frame's border, `band` pixels wide, and their share of its pixels.

    Coordinates in rows of their own compute fastest.
    """
    strips = (xyz[:band], xyz[-band:], xyz[band:-band, :band], xyz[band:-band, -band:])
    number = sum(strip.size for strip in strips) // 3
    points = np.concatenate([strip.reshape(-1, 3).T for strip in strips], axis=1, out=np.empty((3, number)))
    measured = np.compress(points[2] != 0, points, axis=1)
    return measured, measured.shape[1] / points.shape[1]


def _outline_points(xyz: Floats, width: float) -> tuple[NDArray[np.float64], float]:
    """The same of the border of the measured area: of its convex hull, stray points left out.

    width: of the border, as a fraction of the area's shorter side.
    """
    valid = valid_points(xyz)
    area = cv2.morphologyEx(valid.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(area, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return np.zeros((3, 0)), 0.0
    corners = cv2.convexHull(np.concatenate(outlines))
    band = max(3, round(width * min(cv2.boundingRect(corners)[2:])))
    hull = cv2.fillConvexPoly(np.zeros_like(area), corners, 1)
    side = 2 * band + 1
    inner = cv2.erode(hull, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    border = hull > inner
    measured = border & valid
    return np.ascontiguousarray(xyz[measured].T, np.float64), float(measured.sum() / border.sum())


def height_over_plane(xyz: Floats, plane: NDArray[np.float64]) -> Floats:
    """(H, W) signed height over the plane towards the camera, metres; 0 where nothing was measured."""
    return np.where(valid_points(xyz), _signed_distance(xyz, plane), np.float32(0))


def _signed_distance(xyz: Floats, plane: NDArray[np.float64]) -> Floats:
    """The same without regard to what was measured."""
    a, b, c, d = plane.astype(np.float32)  # to 1e-7 m at a metre
    distance = xyz[..., 0] * a
    distance += xyz[..., 1] * b
    distance += xyz[..., 2] * c
    distance += d
    return np.asarray(distance)


def part_foreground(xyz: Floats, plane: NDArray[np.float64] | None, clearance: float = 0.003) -> Mask | None:
    """(H, W) pixels of the part: over `clearance` metres above the `border_plane`, specks removed, small holes closed.

    None where there is no support plane or nothing stands on it.
    """
    if plane is None:
        return None
    mask = ((_signed_distance(xyz, plane) > clearance) & valid_points(xyz)).view(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc)
    part = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, disc).astype(bool)
    return part if part.any() else None


def filled_outline(part: NDArray[np.uint8]) -> Mask:
    """(h, w) 0 or 1, pixels of the part at the network's size -> what is scored: also what its outline encloses, holes
    and notches, which may be the defect, and a rim around it."""
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(part, [cv2.convexHull(outline) for outline in outlines], -1, 1, cv2.FILLED)
    return cv2.dilate(filled, np.ones((REGION_DILATION,) * 2, np.uint8)).astype(bool)
