"""Inputs in trouble: what fails, hangs, or cannot be moved away."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from stations import client_of, until

from trd.errors import DataError, OutputError
from trd_station.inputs.camera import CameraInput, VideoCamera
from trd_station.inputs.folder import WatchedFolder
from trd_station.inputs.taking import Running


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

    monkeypatch.setattr("trd_station.inputs.camera.cv2.VideoCapture", Capture)
    camera = VideoCamera("rtsp://anna:secret@camera/1")
    assert camera.grab().id == "frame-000001"
    for words in ("rtsp://camera/1 gives no frame", "rtsp://camera/1 cannot be opened"):
        with pytest.raises(DataError, match=words):
            camera.grab()
    assert camera.grab().id == "frame-000002"
    camera.close()


def test_an_input_that_fails_ends_or_hangs_says_so(station, client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("AGAIN_UNEXPECTED", 0.01), ("STOPPING", 0.05)):
        monkeypatch.setattr(f"trd_station.inputs.taking.{name}", seconds)
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


def test_a_folder_that_cannot_be_tidied_inspects_once(opened, tmp_path: Path, test_parts: Path) -> None:
    """Also after a restart, as if it had been killed between storing and moving."""
    place, never = tmp_path / "in", threading.Event()
    for source, ending in (("rgb", ".png"), ("xyz", ".tiff")):
        (place / source).mkdir(parents=True)
        shutil.copy(test_parts / f"good/{source}/000{ending}", place / source / f"a{ending}")
    (place / "inspected").write_text("in the way")
    for _ in range(2):
        station = opened()
        watched = WatchedFolder(station, "biscuit", place)
        watched.step(never)
        for _ in range(3):
            with pytest.raises(OutputError, match="was inspected but cannot be moved"):
                watched.step(never)
        with client_of(station) as client:
            assert [one["part"] for one in client.get("/v1/inspections").json()["inspections"]] == ["a"]
        station.close()
    (place / "inspected").unlink()
    station = opened()
    watched = WatchedFolder(station, "biscuit", place)
    for _ in range(2):
        watched.step(never)
    done = place / "inspected/rgb/a.png"
    assert done.exists()
    for path in place.glob("inspected/*/*"):
        path.rename(place / path.parent.name / path.name)  # put back: inspect it again
    for _ in range(2):
        watched.step(never)
    assert done.exists()
    with client_of(station) as client:
        assert len(client.get("/v1/inspections").json()["inspections"]) == 2
