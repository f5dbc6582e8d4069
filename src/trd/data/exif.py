"""How EXIF data say that a picture is to be turned."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXIF_START, EXIF_ENTRIES = b"Exif\0\0", 500
ORIENTATION = (0x0112, 3)  # tag and type of the entry


def orientation_of(exif: bytes) -> int:
    """EXIF's orientation, 1 to 8; 1, as stored, where it says none or is damaged: viewers show the picture then."""
    values = exif.removeprefix(EXIF_START)
    order = {b"II": "<", b"MM": ">"}.get(values[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", values, 4)
        (count,) = struct.unpack_from(f"{order}H", values, start)
        for entry in range(min(count, EXIF_ENTRIES)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", values, start + 2 + 12 * entry)
            if (tag, kind) == ORIENTATION and value in range(1, 9):
                return int(value)
    except struct.error:
        pass
    return 1


def turned(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """(H, W, ...) stored pixels -> as viewers show them. orientation: EXIF's, of which 5 to 8 exchange the sides."""
    if orientation == 1:
        return image
    if orientation > 4:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
