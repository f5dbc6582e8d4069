"""The paper's depth image (recipe rgb+depth), and the hole filling that its normals image shares."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.preprocess.foreground import paper_foreground

FILL_ROUNDS = 2


def fill_zeros(image: NDArray[np.float64], rounds: int = FILL_ROUNDS) -> NDArray[np.float64]:
    """Replace zeros by the mean of the non-zero 3 x 3 neighbours, `rounds` times; (H, W) float64 in and out.

    Zeros without a non-zero neighbour stay zero. Outside the frame counts as missing.
    """
    filled = image
    for _ in range(rounds):
        known = (filled != 0).astype(np.float64)
        total = cv2.boxFilter(filled, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
        count = cv2.boxFilter(known, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
        mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0.5)
        filled = np.where(known > 0, filled, mean)
    return filled


def scale_foreground(
    z: NDArray[np.float32], foreground: NDArray[np.bool_], low: float, high: float
) -> NDArray[np.float64]:
    """z of the foreground scaled per image from its [min, max] to [low, high]; 0 elsewhere and where z is missing."""
    known = foreground & (z != 0)
    scaled = np.zeros(z.shape, np.float64)
    if known.any():
        values = z[known].astype(np.float64)
        span = values.max() - values.min()
        scaled[known] = low + (high - low) * ((values - values.min()) / span if span > 0 else 0.5)
    return scaled


def full_size_depth_image(xyz: NDArray[np.float32], whole_scene: bool = False) -> NDArray[np.float32]:
    """(1, H, W) float32 in [0, 1], 0 = missing, at the size of a (H, W, 3) cloud in metres; paper, section 4.1.

    whole_scene: every measured point counts, not only those off the support plane (ours).
    """
    foreground = xyz[..., 2] != 0 if whole_scene else paper_foreground(xyz)
    scaled = scale_foreground(xyz[..., 2], foreground, low=0.1, high=0.9)
    return fill_zeros(scaled)[None].astype(np.float32)


def depth_image(xyz: NDArray[np.float32], size: int, whole_scene: bool = False) -> NDArray[np.float32]:
    """(1, size, size): the depth image of the cloud resized by nearest neighbour first, as published."""
    small = cv2.resize(xyz, (size, size), interpolation=cv2.INTER_NEAREST)
    return full_size_depth_image(np.asarray(small, np.float32), whole_scene)
