"""One modality of one sample: the representation of its source, of the frame's window, at the network's size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from trd.config import DepthImageInput, ImageInput, SobelNormalsInput, SurfaceNormalsInput
from trd.preprocess.depth import depth_image, full_size_depth_image
from trd.preprocess.frame import Frame
from trd.preprocess.image import full_scale_of, resize_antialiased, unit_range
from trd.preprocess.normals import SurfaceNormals, full_size_sobel_normals, sobel_normals_image
from trd.preprocess.plane_fits import window_reach
from trd.preprocess.threads import Steps

Floats = NDArray[np.float32]


def window_image(
    config: ImageInput | DepthImageInput | SobelNormalsInput, array: NDArray[np.generic], frame: Frame
) -> Floats:
    """(3, h, w) float32 in [0, 1] of the network's size, of an (H, W, ...) source in the sensor's frame."""
    match config:
        case ImageInput():
            full = full_scale_of(array, config.full_scale)
            return unit_range(resize_antialiased(frame.crop(array), frame.size), full)
        case DepthImageInput():
            xyz, keep = cast(Floats, array), config.background == "keep"
            if _whole_square(xyz, frame):
                return np.repeat(depth_image(xyz, frame.size[0], keep), 3, axis=0)
            return np.repeat(_window_of(full_size_depth_image(xyz, keep), frame), 3, axis=0)
        case SobelNormalsInput():
            xyz = cast(Floats, array)
            if _whole_square(xyz, frame):
                return sobel_normals_image(xyz, frame.size[0], config.kernel)
            return _window_of(full_size_sobel_normals(xyz, config.kernel), frame)


class MetricNormals:
    """The same for `SurfaceNormalsInput`, in steps that several threads may share.

    xyz: (H, W, 3) float32 in the sensor's frame, metres. plane: its support, asked for within the steps.
    """

    def __init__(
        self,
        config: SurfaceNormalsInput,
        xyz: Floats,
        plane: Callable[[], NDArray[np.float64] | None],
        frame: Frame,
        steps: Steps,
    ) -> None:
        # As much around the window as the plane fits at its edge look at.
        around, window = around_window(xyz, frame, window_reach(config.sigma))
        normals = SurfaceNormals(around, config.sigma, config.slope_gain, window)
        centre = steps.add(normals.centre)
        self._native = normals.image
        self._filled = [steps.add(partial(normals.fill, rows, centre.result, plane)) for rows in normals.strips()]
        self._image = np.empty((3, *frame.size), np.float32)

    def add_resizing(self, steps: Steps) -> None:
        """The last steps, apart so that others may be done while the last strip is."""
        for channel in range(len(self._image)):
            steps.add(partial(self._resize, channel))

    def _resize(self, channel: int) -> None:
        for strip in self._filled:
            strip.result()
        _resize_into(self._image[channel], self._native[channel])

    @property
    def image(self) -> Floats:
        """(3, h, w) float32 in [0, 1], once all steps are done."""
        return self._image


def around_window(xyz: Floats, frame: Frame, reach: int) -> tuple[Floats, tuple[slice, slice]]:
    """The window and `reach` pixels around it, as far as there are; and where the window is in that."""
    rows, columns = frame.window_in((xyz.shape[0], xyz.shape[1]))
    top, left = max(0, rows.start - reach), max(0, columns.start - reach)
    around = xyz[top : rows.stop + reach, left : columns.stop + reach]
    return around, (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))


def _whole_square(xyz: Floats, frame: Frame) -> bool:
    rows, columns = frame.window_in((xyz.shape[0], xyz.shape[1]))
    whole = (rows.stop - rows.start, columns.stop - columns.start) == xyz.shape[:2]
    return whole and frame.size[0] == frame.size[1]


def _window_of(image: NDArray[np.floating], frame: Frame) -> Floats:
    """(C, H, W) at native size -> the window at the network's size."""
    resized = np.empty((len(image), *frame.size), np.float32)
    for target, channel in zip(resized, image, strict=True):
        _resize_into(target, frame.crop(channel))
    return resized


def _resize_into(target: Floats, channel: NDArray[np.floating]) -> None:
    target[:] = resize_antialiased(channel.astype(np.float32, copy=False), (target.shape[0], target.shape[1]))
