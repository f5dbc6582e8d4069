"""Two normals images: the paper's (Sobel derivatives of a per-image scaled depth map) and our own metric one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.preprocess.depth import fill_zeros, scale_foreground
from trd.preprocess.foreground import paper_foreground, valid_points

STRIP = 64  # rows fitted at a time: their two dozen intermediate arrays then stay in the processor's cache


def full_size_sobel_normals(xyz: NDArray[np.float32], kernel: int) -> NDArray[np.float64]:
    """(3, H, W) float64 in [0, 1], 0 off the part, at the size of a (H, W, 3) cloud in metres; as published.

    `kernel` is the Sobel size (3, 5 or 7). Derivatives are of z scaled per image to [0, 1], so the same slope looks
    steeper on a flat part: the reason for the paper's per-class kernels, and for `surface_normals_image`.
    """
    foreground = paper_foreground(xyz)
    depth = fill_zeros(scale_foreground(xyz[..., 2], foreground, low=0.0, high=1.0))
    slope_x = cv2.Sobel(depth, cv2.CV_64F, 1, 0, ksize=kernel)
    slope_y = cv2.Sobel(depth, cv2.CV_64F, 0, 1, ksize=kernel)
    normals = np.stack([-slope_x, -slope_y, np.ones_like(depth)])
    normals /= np.linalg.norm(normals, axis=0)
    return np.asarray((normals + 1) / 2 * foreground)


def sobel_normals_image(xyz: NDArray[np.float32], size: int, kernel: int) -> NDArray[np.float32]:
    """(3, size, size) float32 in [0, 1]: the published normals image, made at native size, resized by OpenCV."""
    image = np.moveaxis(full_size_sobel_normals(xyz, kernel), 0, -1)
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.moveaxis(small, -1, 0), np.float32)


def surface_slopes(
    xyz: NDArray[np.float32], sigma: float, plane: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Metric surface slopes (dz/dx, dz/dy) by a weighted plane fit around every pixel, and where they are known.

    xyz: (H, W, 3) float32, metres, missing points zero. sigma: pixels, standard deviation of the Gaussian weights.
    Returns slopes (H, W, 2) float64, metres per metre, in the camera frame or, given a support `plane`, in the frame
    of that plane (a tilted table then has slope 0), and a (H, W) bool map. A fit needs the weight of measured points
    to be at least a tenth of the whole window and the points to span an area: holes up to about the window's size are
    bridged by the fit itself, larger ones are False (slope 0). Nothing is scaled per image.
    """
    valid = valid_points(xyz)
    rotation = np.eye(3) if plane is None else _to_plane_frame(plane)
    # Coordinates relative to about the cloud's centre keep the sums of squares small against float64 rounding.
    some = xyz[::4, ::4][valid[::4, ::4]]
    centre = some.mean(axis=0, dtype=np.float64) if len(some) else np.zeros(3)
    height, reach = len(xyz), window_reach(sigma)
    slopes, known = np.empty((*xyz.shape[:2], 2)), np.empty(xyz.shape[:2], bool)
    for top in range(0, height, STRIP):
        first, last = max(0, top - reach), min(height, top + STRIP + reach)
        coordinates = np.moveaxis(xyz[first:last], -1, 0).astype(np.float64, order="C") - centre[:, None, None]
        points = np.einsum("ij,jhw->ihw", rotation, coordinates)
        inner = slice(top - first, min(top + STRIP, height) - first)
        for whole, part in zip((slopes, known), _fitted_slopes(points, valid[first:last], sigma), strict=True):
            whole[top : top + STRIP] = part[inner]
    return slopes, known


def _fitted_slopes(
    points: NDArray[np.float64], valid: NDArray[np.bool_], sigma: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """points: (3, h, w)."""
    weight = valid.astype(np.float64)
    x, y, z = points * weight

    def windowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT), np.float64)

    total = windowed(weight)
    known = total > 0.1
    safe = np.where(known, total, 1)
    mean_x, mean_y, mean_z = (windowed(v) / safe for v in (x, y, z))
    xx = windowed(x * x) / safe - mean_x**2
    xy = windowed(x * y) / safe - mean_x * mean_y
    yy = windowed(y * y) / safe - mean_y**2
    xz = windowed(x * z) / safe - mean_x * mean_z
    yz = windowed(y * z) / safe - mean_y * mean_z
    determinant = xx * yy - xy**2
    known &= determinant > 1e-6 * (xx + yy) ** 2
    safe = np.where(known, determinant, 1)
    slopes = np.stack([(yy * xz - xy * yz) / safe, (xx * yz - xy * xz) / safe], axis=-1)
    slopes[~known] = 0
    return slopes, known


def window_reach(sigma: float) -> int:
    """Pixels that the plane fit looks at in each direction: four standard deviations, where OpenCV cuts the weights."""
    return int(4 * sigma + 1)


def _to_plane_frame(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation (3, 3) that turns the plane's normal to (0, 0, -1), towards the camera, by the least angle."""
    normal, camera = plane[:3], np.array([0.0, 0.0, -1.0])
    axis = np.cross(normal, camera)
    sine, cosine = float(np.linalg.norm(axis)), float(normal @ camera)
    if sine < 1e-12:
        return np.eye(3)
    rotation, _ = cv2.Rodrigues(axis / sine * np.arctan2(sine, cosine))
    return np.asarray(rotation, np.float64)


def surface_normals_image(
    xyz: NDArray[np.float32], sigma: float, slope_gain: float, plane: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """(3, H, W) float32 in [0, 1] at the cloud's own size: metric unit normals mapped by (n + 1) / 2, ours.

    `slope_gain` multiplies the slopes before normalising: 1 gives true normals; more spreads the gentle slopes of a
    shallow dent over the range that a teacher trained on photographs responds to. Unknown pixels are 0.5 in x and y
    and 0 in z, which no measured normal can be.
    """
    slopes, known = surface_slopes(xyz, sigma, plane)
    steep = np.float32(-slope_gain) * slopes.astype(np.float32).transpose(2, 0, 1)
    half = np.float32(0.5) / np.sqrt(1 + steep[0] ** 2 + steep[1] ** 2)
    image = np.stack([steep[0] * half + np.float32(0.5), steep[1] * half + np.float32(0.5), half + np.float32(0.5)])
    image[:, ~known] = np.array([[0.5], [0.5], [0.0]], np.float32)
    return np.asarray(image, np.float32)
