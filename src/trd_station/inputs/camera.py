"""Cameras: whatever has a `grab`. One adapter, for colour cameras and streams that OpenCV opens."""

from __future__ import annotations

import threading
import time
from typing import Protocol

import cv2
import numpy as np

from trd.errors import DataError
from trd.types import Sample
from trd_station.addresses import shown
from trd_station.inputs.taking import job_of_sample
from trd_station.station import Station


class Camera(Protocol):
    """grab: the next part, when it is there (a trigger, a light barrier), or None at the end. Raises DataError for what
    may pass: it is called again."""

    def grab(self) -> Sample | None: ...


class CameraInput:
    """Inspects what a camera grabs. pause: seconds between two grabs."""

    def __init__(self, station: Station, class_name: str, camera: Camera, pause: float = 0.0) -> None:
        self.name = f"camera of '{class_name}'"
        self._station, self._class, self._camera, self._pause = station, class_name, camera, pause
        self._count = 0
        self._last: float | None = None

    def test(self) -> str:
        """Of the frames that came: another would be one that is not inspected. Raises DataError where none did."""
        if self._last is None:
            raise DataError("no frame has come since the start")
        return f"{self._count} frames; the last one {time.monotonic() - self._last:.1f} s ago"

    def step(self, stopping: threading.Event) -> float | None:
        sample = self._camera.grab()
        if sample is None:
            return None
        self._count, self._last = self._count + 1, time.monotonic()
        self._station.inspect([job_of_sample(self._station, self._class, sample, "camera")])
        return self._pause


class VideoCamera:
    """Frames of a USB camera (its number), of a network stream or of a file, as the colour source `source`.

    address: what `cv2.VideoCapture` opens. Files and sequences of pictures end; a camera or stream that gives no frame
    is opened again by the next `grab`. Raises DataError where it cannot be opened or gives no frame.
    """

    def __init__(self, address: str, source: str = "rgb") -> None:
        self._address, self._source, self._count = address, source, 0
        self._live = address.isdecimal() or "://" in address or address.startswith("/dev/")
        self._grabbing = threading.Lock()
        self._capture: cv2.VideoCapture | None = self._opened()

    def _opened(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(int(self._address) if self._address.isdecimal() else self._address)
        if not capture.isOpened():
            raise DataError(f"the camera {shown(self._address)} cannot be opened")
        return capture

    def grab(self) -> Sample | None:
        with self._grabbing:
            if self._capture is None:
                self._capture = self._opened()
            success, frame = self._capture.read()
            if not success and self._live:
                self._capture.release()
                self._capture = None
                raise DataError(f"the camera {shown(self._address)} gives no frame; it is opened again")
        if not success:
            return None
        self._count += 1
        colours = np.ascontiguousarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        return Sample(f"frame-{self._count:06d}", {self._source: colours})

    def close(self) -> None:
        # while another thread reads, OpenCV must not let go of what it reads from; the process's end does it then
        if self._grabbing.acquire(blocking=False):
            try:
                if self._capture is not None:
                    self._capture.release()
            finally:
                self._grabbing.release()
