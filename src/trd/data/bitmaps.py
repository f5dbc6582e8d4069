"""BMP -> arrays: the uncompressed ones, which cameras' tools and some data sets write."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

HEADER = 54  # bytes of the file's and the picture's header up to what is read here
BITS = (1, 8, 24, 32)
UNCOMPRESSED = 0


def read_bmp(data: bytes, check: Callable[[int, int], None], as_numbers: bool = False) -> NDArray[np.uint8]:
    """(H, W) for a grey palette or none but numbers, else (H, W, 3) RGB; a fourth channel is dropped.

    check: refuses a height and width before anything is decoded. as_numbers: of a palette the numbers, not the colours.
    Raises ValueError for damaged and for compressed files.
    """
    if data[:2] != b"BM" or len(data) < HEADER:
        raise ValueError("it does not begin like a BMP")
    start, header, width, rows, _, bits, compression = struct.unpack("<IIiiHHI", data[10:34])
    height = abs(rows)
    if header < 40 or bits not in BITS or compression != UNCOMPRESSED:
        raise ValueError(f"{bits} bits per pixel in compression {compression}; uncompressed 8, 24 or 32 bits are read")
    if width <= 0 or height == 0:
        raise ValueError(f"it declares {height} x {width} pixels")
    check(height, width)
    stride = (width * bits + 31) // 32 * 4
    if start + stride * height > len(data):
        raise ValueError("it ends in the middle of the picture")
    lines = np.frombuffer(data, np.uint8, stride * height, start).reshape(height, stride)
    lines = lines if rows < 0 else lines[::-1]  # the last line comes first, unless the height is negative
    if bits > 8:
        return np.ascontiguousarray(lines[:, : width * bits // 8].reshape(height, width, bits // 8)[..., 2::-1])
    numbers = (np.unpackbits(lines, axis=1) if bits == 1 else lines)[:, :width]
    return np.ascontiguousarray(numbers) if as_numbers else _colours(numbers, data, 14 + header, start)


def _colours(numbers: NDArray[np.uint8], data: bytes, begin: int, end: int) -> NDArray[np.uint8]:
    """Looked up in the palette between header and pixels; (H, W) where it is grey."""
    size = max(0, min(end - begin, 4 * 256)) // 4
    palette = np.frombuffer(data, np.uint8, 4 * size, begin).reshape(size, 4)[:, 2::-1]
    if numbers.max() >= size:
        raise ValueError(f"a pixel has number {numbers.max()} of a palette of {size} colours")
    is_grey = bool((palette == palette[:, :1]).all())
    return np.ascontiguousarray(palette[:, 0][numbers] if is_grey else palette[numbers])
