"""The area that a user wants inspected: polygons of the recipe, at the maps' size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import FrameConfig
from trd.errors import DataError
from trd.preprocess.frame import Frame

SHIFT = 4  # binary digits behind the point of the corners that OpenCV draws

Polygon = Sequence[Sequence[float]]


def inspected_area(config: FrameConfig, frame: Frame) -> NDArray[np.bool_] | None:
    """(h, w) True where `frame.inspect` and `frame.ignore` let a defect count; None where they name nothing.

    Raises DataError where nothing is left in the window.
    """
    if not (config.inspect or config.ignore):
        return None
    area = _filled(config.inspect, frame) if config.inspect else np.ones(frame.map_size, bool)
    area &= ~_filled(config.ignore, frame)
    if not area.any():
        top, left, height, width = frame.window
        raise DataError(
            "frame.inspect and frame.ignore leave nothing to inspect in the window, rows "
            f"{top} to {top + height} and columns {left} to {left + width} of frames of {frame.sensor[0]} x "
            f"{frame.sensor[1]} pixels: polygons are [[x, y], ...] in pixels of the training frames"
        )
    return area


def _filled(polygons: Iterable[Polygon], frame: Frame) -> NDArray[np.bool_]:
    top, left, height, width = frame.window
    scale = np.array([frame.map_size[1] / width, frame.map_size[0] / height])
    canvas = np.zeros(frame.map_size, np.uint8)
    for polygon in polygons:
        corners = (np.array(polygon, np.float64) - [left, top] + 0.5) * scale - 0.5
        cv2.fillPoly(canvas, [np.round(corners * 2**SHIFT).astype(np.int32)], 1, shift=SHIFT)
    return canvas.astype(bool)
