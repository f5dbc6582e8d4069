"""Inputs in trouble: what fails, hangs, or cannot be moved away."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from trd.errors import DataError
from trd.station.inputs.camera import CameraInput, VideoCamera
from trd.station.inputs.taking import Running

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from stations import until


def test_a_camera_without_a_frame_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = np.zeros((4, 4, 3), np.uint8)
    frames = iter([[frame, None], None, [frame]])  # of each opening; None: it cannot be opened

    class Capture:
        def __init__(self, address: object) -> None:
            found = next(frames)
            self.isOpened, self.left = lambda: found is not None, found or []

        def read(self) -> tuple[bool, np.ndarray | None]:
            return self.left[0] is not None, self.left.pop(0)

        def release(self) -> None:
            """Nothing."""

    monkeypatch.setattr("trd.station.inputs.camera.cv2.VideoCapture", Capture)
    camera = VideoCamera("rtsp://anna:secret@camera/1")
    assert camera.grab().id == "frame-000001"
    for words in ("rtsp://camera/1 gives no frame", "rtsp://camera/1 cannot be opened"):
        with pytest.raises(DataError, match=words):
            camera.grab()
    assert camera.grab().id == "frame-000002"
    camera.close()


def test_an_input_that_fails_ends_or_hangs_says_so(station, client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("AGAIN_UNEXPECTED", 0.01), ("STOPPING", 0.05)):
        monkeypatch.setattr(f"trd.station.inputs.taking.{name}", seconds)
    tries: list[int] = []
    going_on = threading.Event()

    class Failing:
        def grab(self) -> None:
            tries.append(1)
            if len(tries) < 4:
                raise OSError(28, "No space left on device", "incoming")

    class Hanging:
        def grab(self) -> None:
            going_on.wait()

    def told() -> list[str]:
        return [one["text"] for one in client.get("/v1/events?kind=input").json()["events"]]

    assert Running(station, CameraInput(station, "biscuit", Failing())).join(10)
    until(lambda: len(told()) == 2)
    assert "OSError: [Errno 28] No space left on device: 'incoming'" in "".join(told())
    assert "camera of 'biscuit': there is nothing more, it has ended" in told()
    hanging = Running(station, CameraInput(station, "biscuit", Hanging()))
    hanging.stop()
    assert not hanging.join(0)
    going_on.set()
    assert hanging.join(10)
