"""A camera that is looked at while a class is taught: opened by the first who asks, let go of when nobody does."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from trd.errors import DataError
from trd_station.inputs.camera import VideoCamera

IDLE = 10.0  # seconds without a question after which others may have it
STREAMS = ("rtsp", "rtsps", "http", "https")


def check_address(address: str) -> None:
    """Raises DataError for what is neither a camera's number nor the address of a stream, such as a file."""
    if address.isdecimal() or (address.partition("://")[0].lower() in STREAMS and "://" in address):
        return
    raise DataError(f"'{address[:60]}' is no camera: give its number, or the address of a stream (rtsp://, http://)")


class LiveCamera:
    """One at a time."""

    def __init__(self) -> None:
        self._using = threading.Lock()
        self._address = ""
        self._camera: VideoCamera | None = None
        self._timer: threading.Timer | None = None

    def frame(self, address: str) -> NDArray[np.uint8]:
        """(H, W, 3) in RGB. Raises DataError for a camera that gives none."""
        check_address(address)
        with self._using:
            if self._camera is None or self._address != address:
                self._close()
                self._camera, self._address = VideoCamera(address), address
            self._wait_for_others()
            sample = self._camera.grab()
        if sample is None:
            raise DataError(f"the camera {address} gives no frame")
        return np.asarray(sample.arrays["rgb"], np.uint8)

    def _wait_for_others(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(IDLE, self.close)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        with self._using:
            self._close()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._camera is not None:
            self._camera.close()
        self._camera = None
