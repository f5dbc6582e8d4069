"""A camera shows what it sees when it is asked, however long nobody has asked."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from cameras import BETWEEN, BrighteningCamera
from stations import until

from trd.errors import DataError
from trd.types import Sample
from trd_station.inputs import live_camera
from trd_station.inputs.live_camera import LiveCamera


class FailingCamera(BrighteningCamera):
    fails = True

    def grab(self) -> Sample:
        sample = super().grab()
        if self.fails:
            raise DataError("the camera gives no frame")
        return sample


class HangingCamera(BrighteningCamera):
    def grab(self) -> Sample:
        time.sleep(0.5)
        return super().grab()


def brightness(camera: LiveCamera) -> int:
    """Brightness of the frame that comes; 0 where none does."""
    try:
        return int(camera.frame("0").max())
    except DataError:
        return 0


@pytest.fixture
def camera() -> Iterator[LiveCamera]:
    one = LiveCamera()
    yield one
    one.close()
    assert BrighteningCamera.open_now == 0


def test_frames_that_nobody_asked_for_are_not_shown_later(camera: LiveCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_camera, "VideoCamera", BrighteningCamera)
    first = int(camera.frame("0").max())
    time.sleep(10 * BETWEEN)
    assert camera.frame("0").max() > first + 2


def test_a_camera_that_gives_no_frame_is_asked_again(camera: LiveCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_camera, "VideoCamera", FailingCamera)
    monkeypatch.setattr(live_camera, "AGAIN", 2 * BETWEEN)
    with pytest.raises(DataError, match="gives no frame"):
        camera.frame("0")
    monkeypatch.setattr(FailingCamera, "fails", False)
    until(lambda: brightness(camera))


def test_nobody_waits_for_ever(camera: LiveCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_camera, "VideoCamera", HangingCamera)
    monkeypatch.setattr(live_camera, "FRAME", 0.1)
    with pytest.raises(DataError, match=r"no frame came within 0\.1 seconds"):
        camera.frame("0")
