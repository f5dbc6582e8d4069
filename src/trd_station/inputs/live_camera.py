"""A camera that is looked at while a class is taught: opened by the first who asks, let go of when nobody does."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from trd.errors import DataError
from trd.types import Sample
from trd_station.inputs.camera import VideoCamera

IDLE = 10.0  # seconds without a question after which others may have it
FRAME = 10.0  # seconds within which one comes
STOPPING = 10.0  # seconds that a camera gets to end: it may hang for ever
AGAIN = 1.0  # seconds until a camera that gave no frame is opened again
STREAMS = ("rtsp", "rtsps", "http", "https")


def check_address(address: str) -> None:
    """Raises DataError for what is neither a camera's number nor the address of a stream, such as a file."""
    if address.isdecimal() or (address.partition("://")[0].lower() in STREAMS and "://" in address):
        return
    raise DataError(f"'{address[:60]}' is no camera: give its number, or the address of a stream (rtsp://, http://)")


class NewestFrame:
    """Takes every frame of a camera, as drivers and streams keep those that nobody takes: a camera that is asked once a
    second would show what it saw long ago. It closes the camera in the end."""

    def __init__(self, camera: VideoCamera) -> None:
        self._camera = camera
        self._came = threading.Condition()
        self._count = 0  # of frames, and of failures
        self._outcome: Sample | DataError | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="station-camera", daemon=True)
        self._thread.start()

    def next(self) -> Sample:
        """The first frame that is complete after this was called. Raises DataError where none comes."""
        with self._came:
            before = self._count
            if not self._came.wait_for(lambda: self._count > before, FRAME):
                raise DataError(f"no frame came within {FRAME:g} seconds")
            if isinstance(self._outcome, Sample):
                return self._outcome
            raise self._outcome or DataError("the stream has ended")

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(STOPPING)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                outcome: Sample | DataError | None = self._camera.grab()
            except DataError as error:
                outcome = error
            with self._came:
                self._outcome, self._count = outcome, self._count + 1
                self._came.notify_all()
            if not isinstance(outcome, Sample):
                self._stopping.wait(AGAIN)
        self._camera.close()


class LiveCamera:
    """One at a time."""

    def __init__(self) -> None:
        self._using = threading.Lock()
        self._address = ""
        self._newest: NewestFrame | None = None
        self._timer: threading.Timer | None = None

    def frame(self, address: str) -> NDArray[np.uint8]:
        """(H, W, 3) in RGB, as the camera sees it now. Raises DataError for a camera that gives none."""
        check_address(address)
        with self._using:
            if self._newest is None or self._address != address:
                self._close()
                self._newest, self._address = NewestFrame(VideoCamera(address)), address
            self._wait_for_others()
            newest = self._newest
        return np.asarray(newest.next().arrays["rgb"], np.uint8)

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
        if self._newest is not None:
            self._newest.stop()
        self._newest = None
