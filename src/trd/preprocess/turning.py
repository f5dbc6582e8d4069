"""A prepared part as it looks when it is turned in the picture's plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import VectorAxes
from trd.types import PreparedSample


def turned(part: PreparedSample, degrees: float, vector_maps: Mapping[str, VectorAxes]) -> PreparedSample:
    """About the middle of the window, counterclockwise; what comes in from outside is mirrored at the border.

    vector_maps: modalities whose first two channels are x and y components stored as (n + 1) / 2 in image axes (x
    right, y down or up): they turn with the picture. The ground truth mask is left out.
    """
    if not degrees:
        return part
    height, width = next(iter(part.images.values())).shape[1:]
    rotation = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    images = {}
    for name, image in part.images.items():
        rows = np.ascontiguousarray(np.moveaxis(image, 0, -1))
        moved = cv2.warpAffine(
            rows, rotation, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        channels = np.ascontiguousarray(np.moveaxis(moved, -1, 0), np.float32)
        images[name] = _turned_vectors(channels, degrees, vector_maps[name]) if name in vector_maps else channels
    region = part.region
    if region is not None:
        region = cv2.warpAffine(region.astype(np.uint8), rotation, (width, height), flags=cv2.INTER_NEAREST) > 0
    return replace(part, images=images, region=region, mask=None)


def _turned_vectors(image: NDArray[np.float32], degrees: float, axes: VectorAxes) -> NDArray[np.float32]:
    angle = np.deg2rad(degrees if axes == "y_down" else -degrees)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x, y = 2 * image[0] - 1, 2 * image[1] - 1
    empty = (image == 0).all(axis=0)  # the published normals image is 0 off the part
    result = np.stack([(cosine * x + sine * y + 1) / 2, (cosine * y - sine * x + 1) / 2, image[2]])
    result[:, empty] = 0
    return result
