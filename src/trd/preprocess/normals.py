"""Two normals images: the paper's (Sobel derivatives of a per-image scaled depth map) and our own metric one."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.preprocess.depth import fill_zeros, scale_foreground
from trd.preprocess.foreground import paper_foreground
from trd.preprocess.plane_fits import PlaneFits, strips
from trd.preprocess.threads import thread_count


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
    fits = PlaneFits(xyz, sigma)
    centre, rotation = fits.centre(), _to_plane_frame(plane)
    slopes, known = np.empty((*xyz.shape[:2], 2)), np.empty(xyz.shape[:2], bool)
    for rows in strips(len(xyz)):
        fitted, known[rows] = fits.strip(rows, lambda: centre, lambda: rotation)
        slopes[rows] = np.moveaxis(fitted, 0, -1)
    slopes[~known] = 0
    return slopes, known


def _to_plane_frame(plane: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The rotation (3, 3) that turns the plane's normal to (0, 0, -1), towards the camera, by the least angle."""
    if plane is None:
        return np.eye(3)
    axis = np.array([-plane[1], plane[0], 0.0])  # the normal times the camera's direction
    sine, cosine = float(np.linalg.norm(axis)), float(-plane[2])
    if sine < 1e-12:
        return np.eye(3)
    rotation, _ = cv2.Rodrigues(axis / sine * np.arctan2(sine, cosine))
    return np.asarray(rotation, np.float64)


class SurfaceNormals:
    """Metric unit normals of a cloud's window, ours, made strip by strip: `image` is (3, h, w) float32 in [0, 1].

    xyz: (H, W, 3) float32, metres, missing points zero: the window and what is seen around it. window: rows and columns
    of it, all by default. `slope_gain` multiplies the slopes before normalising: 1 gives true normals; more spreads the
    gentle slopes of a shallow dent over the range that a teacher trained on photographs responds to. Normals are mapped
    by (n + 1) / 2. Unknown pixels are 0.5 in x and y and 0 in z, which no measured normal can be.
    """

    def __init__(
        self, xyz: NDArray[np.float32], sigma: float, slope_gain: float, window: tuple[slice, slice] | None = None
    ) -> None:
        height, width = xyz.shape[:2]
        self._rows, self._columns = window or (slice(0, height), slice(0, width))
        self._fits = PlaneFits(xyz, sigma)
        self._gain = np.float32(-slope_gain)
        shape = self._rows.stop - self._rows.start, self._columns.stop - self._columns.start
        self.image = np.empty((3, *shape), np.float32)

    def strips(self) -> list[slice]:
        """Rows of the image that `fill` may be given, which between them are all."""
        return strips(self.image.shape[1], threads=thread_count())

    def centre(self) -> NDArray[np.float64]:
        """What `fill` needs, found once for all strips."""
        return self._fits.centre()

    def fill(
        self,
        rows: slice,
        centre: Callable[[], NDArray[np.float64]],
        plane: Callable[[], NDArray[np.float64] | None],
    ) -> None:
        """Make these rows of the image. `centre` and `plane`, the support, are asked for when they are needed."""
        cloud_rows = slice(self._rows.start + rows.start, self._rows.start + rows.stop)
        slopes, known = self._fits.strip(cloud_rows, centre, lambda: _to_plane_frame(plane()))
        image, unknown = self.image[:, rows], ~known[:, self._columns]
        steep, z = image[:2], image[2]
        np.copyto(steep, slopes[..., self._columns], casting="same_kind")
        steep *= self._gain
        half = np.float32(0.5) / np.sqrt(1 + steep[0] ** 2 + steep[1] ** 2)
        steep *= half
        np.copyto(z, half)
        image += np.float32(0.5)
        np.copyto(steep, np.float32(0.5), where=unknown)
        np.copyto(z, np.float32(0), where=unknown)


def surface_normals_image(
    xyz: NDArray[np.float32], sigma: float, slope_gain: float, plane: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """(3, H, W) float32 in [0, 1] at the cloud's own size: `SurfaceNormals` in the frame of its support `plane`, or of
    the camera."""
    normals = SurfaceNormals(xyz, sigma, slope_gain)
    centre = normals.centre()
    for rows in normals.strips():
        normals.fill(rows, lambda: centre, lambda: plane)
    return normals.image
