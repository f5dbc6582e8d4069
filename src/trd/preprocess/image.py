"""Colour and grey images -> (3, H, W) float32 in [0, 1], and the resizing that all representations share."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def resize_antialiased(image: NDArray[np.generic], size: tuple[int, int]) -> NDArray[np.generic]:
    """PIL's bilinear resize, which averages when shrinking, to `size` = (height, width).

    (H, W) or (H, W, 3); uint8 stays uint8, as published; other types are resized per channel in float32.
    """
    if image.shape[:2] == size:
        return image
    height, width = size
    if image.dtype == np.uint8:
        return np.asarray(
            Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BILINEAR)
        )
    planes = image[..., None] if image.ndim == 2 else image
    resized = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(plane, np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        )
        for plane in np.moveaxis(planes, -1, 0)
    ]
    return resized[0] if image.ndim == 2 else np.stack(resized, axis=-1)


def unit_range(image: NDArray[np.generic], full_scale: float) -> NDArray[np.float32]:
    """(H, W) or (H, W, 3) with values 0..full_scale -> (3, H, W) float32 in [0, 1]; grey fills three channels."""
    scaled = image.astype(np.float32) / np.float32(full_scale)
    if scaled.ndim == 2:
        scaled = np.repeat(scaled[..., None], 3, axis=2)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def full_scale_of(image: NDArray[np.generic]) -> float:
    """The value that means white: 255, 65535, or 1 for floats."""
    return {"uint8": 255.0, "uint16": 65535.0}.get(image.dtype.name, 1.0)


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Ground truth to `size` = (height, width): bilinear on the 8-bit mask, then over one half, as published."""
    resized = resize_antialiased(mask.astype(np.uint8) * np.uint8(255), size)
    return np.asarray(resized.astype(np.uint8) > 127)


def resize_map(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) float32 map to `size` = (height, width), bilinear."""
    return np.asarray(cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)
