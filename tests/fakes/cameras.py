"""A camera without hardware."""

from __future__ import annotations

import time

import numpy as np

from trd.types import Sample

BETWEEN = 0.02  # seconds between two frames


class BrighteningCamera:
    """In the place of `VideoCamera`: each frame is brighter than the one before. open_now: how many there are."""

    open_now = 0

    def __init__(self, _address: str) -> None:
        type(self).open_now += 1
        self._count = 0

    def grab(self) -> Sample:
        time.sleep(BETWEEN)
        self._count += 1
        return Sample("frame", {"rgb": np.full((120, 160, 3), self._count % 256, np.uint8)})

    def close(self) -> None:
        type(self).open_now -= 1
