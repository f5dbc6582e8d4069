"""Cameras: whatever has a `grab`. One adapter, for colour cameras and streams that OpenCV opens."""

from __future__ import annotations

import threading
from typing import Protocol

import cv2
import numpy as np

from trd.errors import DataError
from trd.station.inputs.taking import job_of_sample
from trd.station.station import Station
from trd.types import Sample


class Camera(Protocol):
    """grab: the next part, when it is there (a trigger, a light barrier), or None at the end. Raises DataError."""

    def grab(self) -> Sample | None: ...


class CameraInput:
    """Inspects what a camera grabs. pause: seconds between two grabs."""

    def __init__(self, station: Station, class_name: str, camera: Camera, pause: float = 0.0) -> None:
        self.name = f"camera of '{class_name}'"
        self._station, self._class, self._camera, self._pause = station, class_name, camera, pause

    def step(self, stopping: threading.Event) -> float | None:
        sample = self._camera.grab()
        if sample is None:
            return None
        self._station.inspect([job_of_sample(self._station, self._class, sample, "camera")])
        return self._pause


class VideoCamera:
    """Frames of a USB camera (its number), of a network stream or of a file, as the colour source `source`.

    address: what `cv2.VideoCapture` opens. Raises DataError where it cannot be opened.
    """

    def __init__(self, address: str, source: str = "rgb") -> None:
        self._address, self._source, self._count = address, source, 0
        self._capture = cv2.VideoCapture(int(address) if address.isdecimal() else address)
        if not self._capture.isOpened():
            raise DataError(f"the camera {address} cannot be opened")

    def grab(self) -> Sample | None:
        there, frame = self._capture.read()
        if not there:
            return None
        self._count += 1
        colours = np.ascontiguousarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        return Sample(f"frame-{self._count:06d}", {self._source: colours})

    def close(self) -> None:
        self._capture.release()
