"""What is too large to be read, decided on what a file's header declares, before anything is decoded.

A file of some kB may declare gigabytes of pixels; what it declares must fit the limit, and the file where it can.
"""

from __future__ import annotations

import os
from pathlib import Path

from trd.errors import DataError

MAX_PIXELS = 64_000_000  # of a picture; TRD_MAX_PIXELS sets another number
PIXELS_PER_POINT = 4  # a point takes 12 bytes where a pixel takes 3: a cloud may have a quarter as many
POINT_BYTES = 32  # of one stored point on average: colours, normals and intensities may lie beside x y z
TEXT_BYTES = 1_000_000  # of a camera or range file, which have some hundred


def max_pixels() -> int:
    """The limit in force. Raises DataError where TRD_MAX_PIXELS is not a positive whole number."""
    text = os.environ.get("TRD_MAX_PIXELS", "").strip()
    if not text:
        return MAX_PIXELS
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 19 and int(text) > 0):
        raise DataError(
            f"the environment variable TRD_MAX_PIXELS is '{text}'; expected the largest number of pixels of a picture, "
            f"such as {MAX_PIXELS}"
        )
    return int(text)


def check_picture(path: Path, height: int, width: int) -> None:
    """Raises DataError for a picture without pixels or with more than the limit."""
    _check(path, height * width, f"{height} x {width} pixels", max_pixels())


def check_cloud(path: Path, count: int, declared: str) -> None:
    """Raises DataError for a cloud or depth image of more than a quarter of the limit; `declared` says its size."""
    _check(path, count, declared, max_pixels() // PIXELS_PER_POINT)


def _check(path: Path, count: int, declared: str, limit: int) -> None:
    if count <= 0:
        raise DataError(f"{path} cannot be read: it declares {declared}; the file is damaged or of another format")
    if count > limit:
        raise DataError(
            f"{path} declares {declared}, more than the limit of {limit}; make it smaller, or raise the limit of "
            f"{max_pixels()} pixels (a quarter of it for clouds and depth images) in the environment variable "
            "TRD_MAX_PIXELS"
        )
