"""Colour and grey images -> (3, H, W) float32 in [0, 1], and the resizing that all representations share."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trd.data.loading import read_colours


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
    if image.ndim == 3:
        return np.stack([resize_antialiased(plane, size) for plane in np.moveaxis(image, -1, 0)], axis=-1)
    plane = Image.fromarray(np.ascontiguousarray(image, np.float32))
    return np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))


def unit_range(image: NDArray[np.generic], full_scale: float) -> NDArray[np.float32]:
    """(H, W) or (H, W, 3) with values 0..full_scale -> (3, H, W) float32 in [0, 1]; grey fills three channels.

    What is brighter than full_scale is white.
    """
    planes = np.broadcast_to(image, (3, *image.shape)) if image.ndim == 2 else image.transpose(2, 0, 1)
    scaled = np.empty(planes.shape, np.float32)
    np.divide(planes, np.float32(full_scale), out=scaled, dtype=np.float32, casting="unsafe")
    return np.minimum(scaled, np.float32(1), out=scaled)


def full_scale_of(image: NDArray[np.generic], configured: int | Literal["auto"] = "auto") -> float:
    """The value that means white: as configured for integers, else 255 or 65535; always 1 for floats."""
    if image.dtype.kind == "f":
        return 1.0
    return {"uint8": 255.0, "uint16": 65535.0}.get(image.dtype.name, 1.0) if configured == "auto" else configured


def suspicious_full_scale(maximum: int) -> int | None:
    """The full scale of fewer bits that 16-bit pictures with this largest value most likely have; None for 16 bits."""
    return next((2**bits - 1 for bits in (8, 10, 12, 14) if 0 < maximum < 2**bits), None)


def warn_of_unused_range(modality: str, pictures: Iterable[Path]) -> None:
    """Log one warning where the pictures of a modality, all of them together, use only the lower bits of 16.

    They would reach the network almost black. Reading ends at the first 8-bit picture and at the first that uses the
    range. Raises DataError for a picture that cannot be read.
    """
    maximum = 0
    for path in pictures:
        image = read_colours(path)
        if image.dtype != np.uint16:
            return
        maximum = max(maximum, int(image.max()))
        if suspicious_full_scale(maximum) is None and maximum:
            return
    likely = suspicious_full_scale(maximum)
    if likely is not None:
        logging.getLogger("trd").warning(
            "the 16-bit training pictures of '%s' have no value above %d: they look like pictures of %d bits and would "
            "be taken for almost black ones; if so, use --set modalities.%s.full_scale=%d",
            modality,
            maximum,
            likely.bit_length(),
            modality,
            likely,
        )


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Ground truth to `size` = (height, width): bilinear on the 8-bit mask, then over one half, as published."""
    resized = resize_antialiased(mask.astype(np.uint8) * np.uint8(255), size)
    return np.asarray(resized.astype(np.uint8) > 127)


def resize_map(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) float32 map to `size` = (height, width), bilinear."""
    return np.asarray(cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)
