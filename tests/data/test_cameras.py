"""Camera files, and depth images of another size than the camera's."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from pinhole import CAMERA

from trd.data.cameras import read_camera
from trd.data.clouds import read_cloud
from trd.errors import DataError
from trd.types import Camera


def test_camera_files(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({"fx": 100, "fy": 110, "cx": 4.5, "cy": 3.5, "depth_scale": 0.001}))
    assert read_camera(path) == CAMERA
    path.write_text(json.dumps({"focus": 0.02, "sx": 1e-5, "sy": 2e-5, "cx": 1, "cy": 2}))
    assert dataclasses.astuple(read_camera(path))[:5] == pytest.approx((2000, 1000, 1, 2, 1))
    path.write_text(json.dumps({"fx": 1, "cx": 2}))
    with pytest.raises(DataError, match="lacks fy, cy"):
        read_camera(path)
    path.write_text(json.dumps({"fx": 0, "fy": 1, "cx": 2, "cy": 2}))
    with pytest.raises(DataError, match="fx is 0; expected a number above 0"):
        read_camera(path)
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read as camera JSON"):
        read_camera(path)


def test_a_deeply_nested_camera_file(tmp_path: Path) -> None:
    (tmp_path / "camera.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match="cannot be read as camera JSON"):
        read_camera(tmp_path / "camera.json")
    (tmp_path / "camera.json").write_text(" " * 2_000_000)
    with pytest.raises(DataError, match="2000000 bytes where some hundred"):
        read_camera(tmp_path / "camera.json")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 2], "expected an object"),
        ("fx", "expected an object"),
        ({"fx": -100, "fy": 1, "cx": 2, "cy": 2}, "fx is -100; expected a number above 0"),
        ({"fx": True, "fy": 1, "cx": 2, "cy": 2}, "fx is True"),
        ({"fx": 1, "fy": 1, "cx": 2, "cy": None}, "cy is None; expected a finite number"),
        ({"fx": 10**400, "fy": 1, "cx": 2, "cy": 2}, "fx is 1000"),
        ({"fx": 1, "fy": 1, "cx": 2, "cy": 2, "depth_scale": 0}, "depth_scale is 0"),
        ({"fx": 1, "fy": 1, "cx": 2, "cy": 2, "width": 10}, "width and height are 10 and None"),
        ({"fx": 1, "fy": 1, "cx": 2, "cy": 2, "width": 10, "height": 0.5}, "width and height are 10 and 0.5"),
    ],
)
def test_cameras_that_cannot_be(tmp_path: Path, values: object, said: str) -> None:
    (tmp_path / "camera.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=rf"camera\.json: .*{said}"):
        read_camera(tmp_path / "camera.json")


@pytest.mark.parametrize("prefix", ["", "image_"])
def test_depth_images_of_another_resolution_show_the_same_points(tmp_path: Path, prefix: str) -> None:
    values = {"fx": 100, "fy": 110, "cx": 4.5, "cy": 3.5, "depth_scale": 0.001}
    (tmp_path / "camera.json").write_text(json.dumps(values | {f"{prefix}width": 10, f"{prefix}height": 8}))
    camera = read_camera(tmp_path / "camera.json")
    assert camera == dataclasses.replace(CAMERA, size=(8, 10))
    np.save(tmp_path / "small.npy", np.full((8, 10), 400, np.uint16))
    np.save(tmp_path / "large.npy", np.full((16, 20), 400, np.uint16))
    np.save(tmp_path / "other.npy", np.full((16, 16), 400, np.uint16))
    small, large = (read_cloud(tmp_path / f"{name}.npy", camera) for name in ("small", "large"))
    means = large.reshape(8, 2, 10, 2, 3).mean(axis=(1, 3))  # four small pixels lie on a large one
    np.testing.assert_allclose(means, small, atol=1e-7)
    with pytest.raises(DataError, match=r"other\.npy is 16 x 16 pixels, the camera is meant for 8 x 10"):
        read_cloud(tmp_path / "other.npy", camera)
    assert read_cloud(tmp_path / "other.npy", CAMERA).shape == (16, 16, 3)  # no size is stated: as ever


def test_cameras_from_json_and_from_before_sizes() -> None:
    stored = json.loads(json.dumps(dataclasses.asdict(dataclasses.replace(CAMERA, size=(8, 10)))))
    assert Camera(**stored) == dataclasses.replace(CAMERA, size=(8, 10))
    del stored["size"]
    assert Camera(**stored) == CAMERA
